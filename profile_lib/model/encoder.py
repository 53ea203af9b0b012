"""Predict the tasks from token ids and numbers, in plain torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from profile_lib.model.baselines import TaskBaselines, build_baselines
from profile_lib.model.encoder_family import ENCODERS
from profile_lib.model.heads import Heads
from profile_lib.model.numeric_encoder import NumericEncoder
from profile_lib.model.pruning import drop_heads
from profile_lib.model.spec import ModelSpec

if TYPE_CHECKING:  # takes seconds to import, and is not needed if another runtime encodes
    from transformers import BertModel, PreTrainedConfig


class ModelOutput(NamedTuple):
    """The output for a batch of B texts, padded to T tokens."""

    vector: Tensor  # (B, J), J being joined_size: the interest vector
    logits: dict[str, Tensor]  # task → (B,), or (B, C) for a task with C classes
    hidden: Tensor  # (B, T, H), H being the encoder's hidden size: its last hidden states


class ProfileModel(nn.Module):
    """A text encoder and a numeric encoder, joined, with one head per task.

    A model whose spec has no `bert` reads the numbers alone.
    """

    bert: "BertModel | None"
    prefix: nn.Parameter | None

    def __init__(
        self, spec: ModelSpec, bert: "BertModel | None" = None, *, with_encoder: bool = True
    ) -> None:
        """Build the layers of `spec` around the encoder `bert`, or around a new one.

        New layers have random weights. Without `with_encoder` no encoder is built, because another
        runtime encodes the texts.
        """
        super().__init__()
        self.spec = spec
        if bert is None and spec.bert is not None and with_encoder:
            bert = ENCODERS.get(spec.bert["model_type"]).build(spec.bert)
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
        n_features = len(spec.numeric) + len(spec.categories)
        self.baselines = build_baselines(spec.baselines, n_features)

    @property
    def has_text(self) -> bool:
        """Whether the model reads the behaviour text in addition to the numbers."""
        return self.spec.bert is not None

    def encode(self, token_ids: Tensor, n_tokens: Tensor) -> Tensor:
        """Return the last hidden states (B, T, H) of padded token ids (B, T).

        A row's ids after the first `n_tokens`, (B,), are padding.
        """
        assert self.bert is not None
        mask = _token_mask(token_ids.shape[1], n_tokens).long()
        if self.prefix is None:
            return self.bert(input_ids=token_ids, attention_mask=mask).last_hidden_state
        from transformers.cache_utils import DynamicCache

        n, cache = len(token_ids), DynamicCache()
        for layer, layer_prefix in enumerate(self.prefix):
            keys, values = layer_prefix[:, list(self.spec.attention_heads[layer])]
            size = (n, -1, -1, -1)
            cache.update(keys[None].expand(size), values[None].expand(size), layer)
        mask = torch.cat([mask.new_ones(n, self.prefix.shape[3]), mask], dim=1)
        output = self.bert(input_ids=token_ids, attention_mask=mask, past_key_values=cache)
        return output.last_hidden_state

    def pool(self, hidden: Tensor, n_tokens: Tensor) -> Tensor:
        """Average hidden states (B, T, H) over each text's tokens without padding: (B, H)."""
        mask = _token_mask(hidden.shape[1], n_tokens).to(hidden.dtype).unsqueeze(-1)
        return (hidden * mask).sum(1) / n_tokens.clamp(min=1).unsqueeze(1)

    def apply_heads(
        self, pooled: Tensor | None, numeric: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the interest vector (B, J) and the final logits of each task.

        `pooled`, (B, H), is the pooled text; with None the model predicts from the numbers alone.
        `numeric`, (B, F + K), is as `forward` reads it. Logits have the shapes of ModelOutput. A
        task with baselines joins their logits with the network's.
        """
        vector, logits = self.heads(pooled, self.numbers(numeric))
        joined = {
            task: baselines(logits[task], numeric) for task, baselines in self.baselines.items()
        }
        return vector, logits | joined

    def set_baselines(self, baselines: Mapping[str, TaskBaselines]) -> None:
        """Join these baselines, by task, with the network, and no others."""
        specs = tuple(part.spec for part in baselines.values())
        self.spec = self.spec.model_copy(update={"baselines": specs})
        self.baselines = nn.ModuleDict(baselines)

    def predict_without_text(self, numeric: Tensor) -> dict[str, Tensor]:
        """Return the logits from the numbers (B, F + K) alone, by task."""
        return self.apply_heads(None, numeric)[1]

    def forward(self, token_ids: Tensor, n_tokens: Tensor, numeric: Tensor) -> ModelOutput:
        """Predict a batch of texts and features.

        `token_ids`, (B, T), are padded; `n_tokens`, (B,), are the lengths without padding.
        `numeric`, (B, F + K), holds F raw numbers and K category codes, NaN for unknown values.
        """
        hidden = self.encode(token_ids, n_tokens)
        pooled = self.pool(hidden, n_tokens)
        vector, logits = self.apply_heads(pooled, numeric)
        return ModelOutput(vector, logits, hidden)


def _prefix(config: "PreTrainedConfig", n_tokens: int) -> nn.Parameter | None:
    """Return trainable keys and values that precede every text, None for 0 tokens.

    The method is prefix tuning (Li & Liang 2021). The shape is (layers, 2, heads, n_tokens,
    H / heads), and all values start at zero.
    """
    if n_tokens == 0:
        return None
    heads = config.num_attention_heads
    size = config.hidden_size // heads
    return nn.Parameter(torch.zeros(config.num_hidden_layers, 2, heads, n_tokens, size))


def _token_mask(length: int, n_tokens: Tensor) -> Tensor:
    return torch.arange(length, device=n_tokens.device) < n_tokens.unsqueeze(1)
