"""What a model is built from, but its weights; needs no torch."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from profile_lib.model.tasks import CategorySpec, TaskSpec

HeadIndices = tuple[tuple[int, ...], ...]  # of each layer from the lowest, heads counted from 0


class ModelSpec(BaseModel):
    """Everything a model is built from, but its weights."""

    model_config = ConfigDict(frozen=True)
    tasks: tuple[TaskSpec, ...]
    numeric: tuple[str, ...]  # names of the numeric features, in order
    n_vector_numbers: int = 0  # the last so many of them are parts of vectors, taken as they are
    categories: tuple[CategorySpec, ...] = ()  # their positions stand behind the numbers
    numeric_bins: int
    numeric_hidden: int
    joined_size: int
    dropout: float
    max_tokens: int
    separator_id: int  # the token that ends an event in the text
    bert: dict[str, Any] | None  # a BertConfig as a dictionary; None: numbers alone, no text
    prefix_tokens: int = 0  # tuned keys and values before every text, in each layer
    heads_left: HeadIndices | None = None  # None: all heads of every layer

    @property
    def attention_heads(self) -> HeadIndices:
        """The encoder's attention heads that are left of each layer."""
        if self.heads_left is not None or self.bert is None:
            return self.heads_left or ()
        return (tuple(range(self.bert["num_attention_heads"])),) * self.bert["num_hidden_layers"]

    @property
    def pad_id(self) -> int:
        """The token behind the last one of a short text."""
        return int((self.bert or {}).get("pad_token_id") or 0)
