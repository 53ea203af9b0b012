"""Token ids and numbers in, the interest vector and logits out; knows no table and no Spark."""

from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from transformers import BertConfig, BertModel
from transformers.utils import logging

from profile_lib.errors import InputError
from profile_lib.model.heads import Heads
from profile_lib.model.numbers import Numbers


class TaskSpec(BaseModel):
    """What a head answers; a multiclass head has one logit a class, in this order."""

    model_config = ConfigDict(frozen=True)
    name: str
    kind: Literal["binary", "multiclass"]
    classes: tuple[str, ...]  # () for a binary task

    @property
    def n_outputs(self) -> int:
        """Logits of the head."""
        return 1 if self.kind == "binary" else len(self.classes)


class ModelSpec(BaseModel):
    """Everything a model is built from, but its weights."""

    model_config = ConfigDict(frozen=True)
    tasks: tuple[TaskSpec, ...]
    numeric: tuple[str, ...]  # names of the numeric features, in order
    numeric_bins: int
    numeric_hidden: int
    joined_size: int
    dropout: float
    max_tokens: int
    separator_id: int  # the token that ends an event in the text
    bert: dict[str, Any]  # a BertConfig as a dictionary


class Output(NamedTuple):
    """Of a batch of B texts of T tokens."""

    vector: Tensor  # (B, joined_size): the interest vector
    logits: dict[str, Tensor]  # task → (B,) where binary, (B, C) where multiclass
    hidden: Tensor  # (B, T, H): the encoder's last hidden states


class ProfileModel(nn.Module):
    """A BERT encoder over the behaviour text, joined with the numeric features."""

    def __init__(self, spec: ModelSpec, bert: BertModel | None = None):
        super().__init__()
        self.spec = spec
        self.bert = bert or BertModel(BertConfig.from_dict(spec.bert), add_pooling_layer=False)
        self.numbers = Numbers(
            len(spec.numeric),
            spec.numeric_bins,
            spec.numeric_hidden,
            spec.joined_size,
            spec.dropout,
        )
        outputs = {task.name: task.n_outputs for task in spec.tasks}
        hidden_size = int(self.bert.config.hidden_size)
        self.heads = Heads(hidden_size, spec.joined_size, outputs, spec.dropout)

    def encode(self, token_ids: Tensor, n_tokens: Tensor) -> Tensor:
        """(B, T) ids of which `n_tokens` (B,) count → the last hidden states (B, T, H)."""
        mask = _is_token(token_ids.shape[1], n_tokens).long()
        return self.bert(input_ids=token_ids, attention_mask=mask).last_hidden_state

    def pool(self, hidden: Tensor, n_tokens: Tensor) -> Tensor:
        """The mean of the hidden states over the true tokens: (B, T, H) → (B, H)."""
        mask = _is_token(hidden.shape[1], n_tokens).to(hidden.dtype).unsqueeze(-1)
        return (hidden * mask).sum(1) / n_tokens.clamp(min=1).unsqueeze(1)

    def heads_from(
        self, pooled: Tensor, numeric_vector: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, H) pooled text and (B, J) `numbers(numeric)` → the vector (B, J) and the logits."""
        vector, logits = self.heads(pooled, numeric_vector)
        return vector, logits

    def numbers_only(self, numeric: Tensor) -> dict[str, Tensor]:
        """The logits as if there were no text: what the model says before its encoder joins."""
        _, logits = self.heads(None, self.numbers(numeric))
        return logits

    def forward(self, token_ids: Tensor, n_tokens: Tensor, numeric: Tensor) -> Output:
        """(B, T) padded ids, (B,) true lengths and (B, F) raw numbers, NaN where unknown."""
        hidden = self.encode(token_ids, n_tokens)
        pooled = self.pool(hidden, n_tokens)
        vector, logits = self.heads_from(pooled, self.numbers(numeric))
        return Output(vector, logits, hidden)


def load_encoder(folder: str, layers: int | None, max_tokens: int) -> BertModel:
    """A pretrained encoder, of which the lowest `layers` are kept (None: all).

    Raises InputError where it has fewer layers or reads shorter texts than asked.
    """
    logging.set_verbosity_error()  # what is not taken of a checkpoint, its pooler, is no news
    logging.disable_progress_bar()
    bert = BertModel.from_pretrained(
        folder, add_pooling_layer=False, dtype=torch.float32, use_safetensors=True
    )
    found = int(bert.config.num_hidden_layers)
    if layers is not None and layers > found:
        raise InputError(f"model.encoder_layers: {layers}, but {folder} has {found} layers")
    longest = int(bert.config.max_position_embeddings)
    if max_tokens > longest:
        raise InputError(
            f"examples.max_tokens: {max_tokens}, but {folder} reads {longest} tokens at most"
        )
    if layers is not None:
        bert.encoder.layer = bert.encoder.layer[:layers]
        bert.config.num_hidden_layers = layers
    return bert


def _is_token(length: int, n_tokens: Tensor) -> Tensor:
    return torch.arange(length, device=n_tokens.device) < n_tokens.unsqueeze(1)
