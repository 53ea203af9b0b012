"""Describe everything that a model is built from, except its weights; needs no torch."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from profile_lib.model.tasks import CategorySpec, TaskSpec

# Per layer from the lowest: the indices of its attention heads, counted from 0.
HeadIndices = tuple[tuple[int, ...], ...]


class BaselineSpec(BaseModel):
    """The sizes of one task's baselines."""

    model_config = ConfigDict(frozen=True)
    task: str
    n_trees: int
    n_nodes: int  # of a tree, leaves included
    depth: int  # splits on the longest way from a root to a leaf
    n_edges: int  # between the intervals of a number


class ModelSpec(BaseModel):
    """Everything that a model is built from, except its weights.

    The JSON of a spec is part of the hash that names a model's version.
    """

    model_config = ConfigDict(frozen=True)
    tasks: tuple[TaskSpec, ...]
    numeric: tuple[str, ...]  # names of the numeric features, in order
    n_vector_numbers: int = 0  # how many of the last numbers are components of vectors: not binned
    categories: tuple[CategorySpec, ...] = ()  # their codes follow the numbers
    numeric_bins: int
    numeric_hidden: int
    joined_size: int
    dropout: float
    max_tokens: int
    separator_id: int  # the token that ends an event in the text
    bert: dict[str, Any] | None  # the encoder's config as a dictionary; None: numbers only, no text
    prefix_tokens: int = 0  # tuned keys and values before every text, in each layer
    baselines: tuple[BaselineSpec, ...] = ()  # of binary tasks; the others have the network alone
    heads_left: HeadIndices | None = None  # heads that were not pruned; None: all of every layer

    @property
    def attention_heads(self) -> HeadIndices:
        """The indices of each layer's attention heads that were not pruned."""
        if self.heads_left is not None or self.bert is None:
            return self.heads_left or ()
        return (tuple(range(self.bert["num_attention_heads"])),) * self.bert["num_hidden_layers"]

    @property
    def pad_id(self) -> int:
        """The token id that fills up short texts."""
        return int((self.bert or {}).get("pad_token_id") or 0)
