"""Define the interface of text encoder families, and register them by model type."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from profile_lib.registry import Registry

if TYPE_CHECKING:  # drivers that only tokenize import this module too
    from transformers import BertModel, PreTrainedConfig, PreTrainedTokenizerBase


class EncoderFamily(ABC):
    """A family of text encoders, registered by the `model_type` in their config.json.

    To add a family, put a file with a decorated subclass into `encoders/`. Drivers import that
    file too, so it imports transformers within its methods. The encoders have the parts of a
    BertModel that training uses: `config`, `embeddings`, `encoder.layer`, and a call with
    `input_ids` and `attention_mask` that returns `last_hidden_state`.
    """

    @classmethod
    @abstractmethod
    def load(cls, source: str, dropout: float | None) -> "BertModel":
        """Load a pretrained encoder from a folder or hub name, never from a pickle.

        `dropout` replaces all dropout probabilities of its config, unless it is None.
        """

    @classmethod
    @abstractmethod
    def build(cls, config: Mapping[str, Any]) -> "BertModel":
        """Build an encoder with random weights from its config as a dictionary."""

    @classmethod
    def max_tokens(cls, config: "PreTrainedConfig") -> int:
        """Return the largest number of tokens that the encoder reads."""
        return int(config.max_position_embeddings)

    @classmethod
    def separator_id(cls, tokenizer: "PreTrainedTokenizerBase") -> int:
        """Return the id of the token that ends an event."""
        return int(tokenizer.sep_token_id)


ENCODERS: Registry[type[EncoderFamily]] = Registry("model.encoder", "profile_lib.model.encoders")
