"""Declare the settings of pretraining."""

from pydantic import Field

from profile_lib.config.section import Section
from profile_lib.config.training import AugmentationSettings


class PretrainSettings(Section):
    """Pretrain an encoder; other settings are those of training."""

    name: str
    from_scratch: bool
    vocabulary: int = Field(gt=100)
    vocabulary_texts: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    max_position_embeddings: int = Field(gt=0)
    mask_share: float = Field(gt=0, lt=1)
    words_weight: float = Field(ge=0)
    views_weight: float = Field(ge=0)
    augmentation: AugmentationSettings
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    lr: float = Field(gt=0)
