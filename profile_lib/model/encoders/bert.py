"""Load and build BERT encoders."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from profile_lib.model.encoder_family import ENCODERS, EncoderFamily

if TYPE_CHECKING:
    from transformers import BertModel


@ENCODERS.register("bert")
class BertFamily(EncoderFamily):
    """BertModel without its pooler."""

    @classmethod
    def load(cls, source: str, dropout: float | None) -> "BertModel":
        """Load a BertModel from safetensors, in fp32."""
        import torch
        from transformers import BertModel

        changes: dict[str, Any] = {}
        if dropout is not None:
            changes = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        return BertModel.from_pretrained(
            source, add_pooling_layer=False, dtype=torch.float32, use_safetensors=True, **changes
        )

    @classmethod
    def build(cls, config: Mapping[str, Any]) -> "BertModel":
        """Build a BertModel with random weights."""
        from transformers import BertConfig, BertModel

        return BertModel(BertConfig.from_dict(dict(config)), add_pooling_layer=False)
