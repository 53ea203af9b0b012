"""Declare the settings of pretraining."""

from pydantic import Field

from profile_lib.config.section import Amount, Count
from profile_lib.config.training import TextTrainingSettings


class PretrainSettings(TextTrainingSettings):
    """Pretrain an encoder; other settings are those of training."""

    from_scratch: bool
    vocabulary: int = Field(gt=100)
    vocabulary_texts: Count
    hidden_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    max_position_embeddings: Count
    mask_share: float = Field(gt=0, lt=1)
    words_weight: Amount
    views_weight: Amount
    epochs: Count
    lr: float = Field(gt=0)
