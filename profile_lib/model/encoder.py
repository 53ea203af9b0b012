"""Token ids and numbers in, the interest vector and logits out; knows no table and no Spark."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from profile_lib.errors import InputError
from profile_lib.model.heads import Heads
from profile_lib.model.numeric_encoder import NumericEncoder
from profile_lib.model.pruning import drop_heads
from profile_lib.model.spec import ModelSpec

if TYPE_CHECKING:  # takes longer to import than torch, and is of no use where another runs it
    from transformers import BertConfig, BertModel


class ModelOutput(NamedTuple):
    """Of a batch of B texts of T tokens."""

    vector: Tensor  # (B, joined_size): the interest vector
    logits: dict[str, Tensor]  # task → (B,) where binary, (B, C) where multiclass
    hidden: Tensor  # (B, T, H): the encoder's last hidden states


class ProfileModel(nn.Module):
    """A BERT encoder over the behaviour text, joined with the numeric features; or these alone."""

    bert: "BertModel | None"
    prefix: nn.Parameter | None

    def __init__(
        self, spec: ModelSpec, bert: "BertModel | None" = None, *, with_encoder: bool = True
    ):
        """Without its encoder it takes up what another runtime makes of the texts."""
        super().__init__()
        self.spec = spec
        if bert is None and spec.bert is not None and with_encoder:
            bert = _new_bert(spec.bert)
            if spec.heads_left is not None:
                drop_heads(bert, spec.heads_left)
        self.bert = bert
        self.prefix = _prefix(bert.config, spec.prefix_tokens) if bert is not None else None
        self.numbers = NumericEncoder(
            len(spec.numeric),
            spec.numeric_bins,
            spec.numeric_hidden,
            spec.joined_size,
            spec.dropout,
            tuple(len(category.values) for category in spec.categories),
            spec.n_vector_numbers,
        )
        outputs = {task.name: task.n_outputs for task in spec.tasks}
        hidden_size = None if spec.bert is None else int(spec.bert["hidden_size"])
        self.heads = Heads(hidden_size, spec.joined_size, outputs, spec.dropout)

    @property
    def has_text(self) -> bool:
        """Whether it reads the behaviour text, or the numbers alone."""
        return self.spec.bert is not None

    def encode(self, token_ids: Tensor, n_tokens: Tensor) -> Tensor:
        """(B, T) ids of which `n_tokens` (B,) count → the last hidden states (B, T, H)."""
        assert self.bert is not None
        mask = _is_token(token_ids.shape[1], n_tokens).long()
        if self.prefix is None:
            return self.bert(input_ids=token_ids, attention_mask=mask).last_hidden_state
        from transformers.cache_utils import DynamicCache

        n, before = len(token_ids), DynamicCache()
        for layer, of_all_heads in enumerate(self.prefix):
            keys, values = of_all_heads[:, list(self.spec.attention_heads[layer])]
            size = (n, -1, -1, -1)
            before.update(keys[None].expand(size), values[None].expand(size), layer)
        mask = torch.cat([mask.new_ones(n, self.prefix.shape[3]), mask], dim=1)
        found = self.bert(input_ids=token_ids, attention_mask=mask, past_key_values=before)
        return found.last_hidden_state

    def pool(self, hidden: Tensor, n_tokens: Tensor) -> Tensor:
        """The mean of the hidden states over the true tokens: (B, T, H) → (B, H)."""
        mask = _is_token(hidden.shape[1], n_tokens).to(hidden.dtype).unsqueeze(-1)
        return (hidden * mask).sum(1) / n_tokens.clamp(min=1).unsqueeze(1)

    def apply_heads(
        self, pooled: Tensor | None, numeric_vector: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, H) pooled text, or none, and (B, J) `numbers(numeric)` → the vector and the logits.

        Without the text the model says what it says before its encoder joins.
        """
        vector, logits = self.heads(pooled, numeric_vector)
        return vector, logits

    def predict_without_text(self, numeric: Tensor) -> dict[str, Tensor]:
        """The logits as if there were no text."""
        return self.apply_heads(None, self.numbers(numeric))[1]

    def forward(self, token_ids: Tensor, n_tokens: Tensor, numeric: Tensor) -> ModelOutput:
        """(B, T) padded ids, (B,) true lengths and (B, F + K) raw numbers and positions of
        categories, NaN where unknown."""
        hidden = self.encode(token_ids, n_tokens)
        pooled = self.pool(hidden, n_tokens)
        vector, logits = self.apply_heads(pooled, self.numbers(numeric))
        return ModelOutput(vector, logits, hidden)


def _new_bert(config: dict[str, Any]) -> "BertModel":
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig.from_dict(config), add_pooling_layer=False)


def _prefix(config: "BertConfig", n_tokens: int) -> nn.Parameter | None:
    """Keys and values, (layers, 2, heads, n_tokens, H / heads), that stand before every text
    (Li & Liang, Prefix-Tuning, 2021)."""
    if n_tokens == 0:
        return None
    heads = config.num_attention_heads
    size = config.hidden_size // heads
    return nn.Parameter(torch.zeros(config.num_hidden_layers, 2, heads, n_tokens, size))


def load_encoder(
    folder: str, layers: int | None, max_tokens: int, dropout: float | None = None
) -> "BertModel":
    """A pretrained encoder, of which the lowest `layers` are kept (None: all).

    `dropout` takes the place of its own, where given.

    Raises InputError where it has fewer layers or reads shorter texts than asked.
    """
    from transformers import BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # what is not taken of a checkpoint, its pooler, is no news
    logging.disable_progress_bar()
    changed: dict[str, Any] = {}
    if dropout is not None:
        changed = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    bert = BertModel.from_pretrained(
        folder, add_pooling_layer=False, dtype=torch.float32, use_safetensors=True, **changed
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
