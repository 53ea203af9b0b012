"""Train an encoder without labels, on masked words and on two views of each user."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertForMaskedLM

from profile_lib.arrays.hash_sampling import uniform
from profile_lib.training.data.augmentation import POSITION_HASH_STEP, Augmenter
from profile_lib.training.data.batches import Batch
from profile_lib.training.objectives.supervised import TensorBatch
from profile_lib.training.plan import (
    Stage,
    TrainingPlan,
    layerwise_learning_rates,
    make_parameter_groups,
)

TEMPERATURE = 0.1  # divides the cosines of views before the softmax
IGNORED_TARGET = -100  # the target of words that are not to be predicted
CHOICE_STREAM, REPLACEMENT_STREAM, WORD_STREAM = 20, 21, 22  # the last parts of a mask's seeds


@dataclass(frozen=True)
class Masking:
    """The choice of words to predict, and what replaces them."""

    share: float  # of the words; 0.15 in Devlin et al., BERT, 2019
    mask_id: int
    special_ids: tuple[int, ...]  # never chosen
    n_words: int

    def mask(self, batch: Batch, seed: tuple[int, ...]) -> Batch:
        """Return the batch with `masked_ids` and `targets`, both (B, T).

        Eight in ten of the chosen words are masked, one in ten is replaced by any word, and one in
        ten stays. The choice depends on seed, row and position alone.
        """
        ids, rows = batch["token_ids"], batch["row_hash"]
        keys = rows[:, None] + np.arange(ids.shape[1]) * POSITION_HASH_STEP
        is_word = np.arange(ids.shape[1]) < batch["n_tokens"][:, None]
        is_word &= ~np.isin(ids, self.special_ids)
        is_chosen = is_word & (uniform(keys, (*seed, CHOICE_STREAM)) < self.share)
        kind = uniform(keys, (*seed, REPLACEMENT_STREAM))
        any_word = (uniform(keys, (*seed, WORD_STREAM)) * self.n_words).astype(np.int64)
        replacement = np.where(kind < 0.8, self.mask_id, np.where(kind < 0.9, any_word, ids))
        return {
            **batch,
            "masked_ids": np.where(is_chosen, replacement, ids),
            "targets": np.where(is_chosen, ids, IGNORED_TARGET),
        }


class SelfSupervisedObjective:
    """Losses of masked words and of views of one user.

    Masked words follow Devlin et al. 2019, views Chen et al., SimCLR, 2020. The views of a user are
    two augmented texts, which the encoder learns to match among the views of all users in the
    process's batch. A part with the weight 0 is left out.
    """

    def __init__(
        self,
        weights: tuple[float, ...],
        plan: TrainingPlan,
        masking: Masking,
        augmenter: Augmenter | None,
    ) -> None:
        self.weights, self.plan = weights, plan
        self.masking, self.augmenter = masking, augmenter
        stage = Stage("words and views", True, plan.epochs, plan.batch_size, 1.0)
        self.stages: tuple[Stage, ...] = (stage,)

    def parameter_groups(self, model: BertForMaskedLM, stage: Stage) -> Iterator[dict[str, Any]]:
        """Yield the encoder's layers, and the word head at the heads' learning rate."""
        plan = self.plan
        head = model.cls.predictions.transform
        for part, lr in (
            *layerwise_learning_rates(model.bert, plan.encoder_lr, plan.layer_decay),
            (head, plan.head_lr),
        ):
            yield from make_parameter_groups(part, lr, plan.weight_decay)
        bias = [model.cls.predictions.bias]  # the head's matrix is the encoder's embedding table
        yield {"params": bias, "lr": plan.head_lr, "peak_lr": plan.head_lr, "weight_decay": 0.0}

    def prepare(self, batch: Batch, seed: tuple[int, ...], stage: Stage) -> Batch:
        """Return the batch with its words masked, and with two views of each text."""
        prepared = self.masking.mask(batch, seed)
        if self.augmenter is not None and self.weights[1] > 0:
            for number in (1, 2):
                view = self.augmenter.augment(batch, (*seed, number))
                prepared |= {f"{n}_{number}": view[n] for n in ("token_ids", "n_tokens")}
        return prepared

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """Return the numbers of words to predict and of rows, (2,)."""
        n_words = (batch["targets"] != IGNORED_TARGET).sum()
        n_rows = torch.tensor(len(batch["weight"]), device=n_words.device)
        return torch.stack([n_words, n_rows]).float()

    def loss_sums(self, model: BertForMaskedLM, batch: TensorBatch, stage: Stage) -> Tensor:
        """Return the cross-entropies in nats of masked words and of matched views, (2,)."""
        words = views = batch["weight"].new_zeros(())
        if self.weights[0] > 0:
            words = masked_word_loss_sum(model, batch)
        if self.weights[1] > 0:
            one, two = (self._view(model, batch, number) for number in (1, 2))
            views = view_loss_sum(one, two)
        return torch.stack([words, views])

    def _view(self, model: BertForMaskedLM, batch: TensorBatch, number: int) -> Tensor:
        ids, n_tokens = batch[f"token_ids_{number}"], batch[f"n_tokens_{number}"]
        mask = _is_token(ids, n_tokens)
        hidden = model.bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return (hidden * mask.unsqueeze(-1)).sum(1) / n_tokens.unsqueeze(1)


def masked_word_loss_sum(model: BertForMaskedLM, batch: TensorBatch) -> Tensor:
    """Return the cross-entropy in nats, summed over the words to predict."""
    mask = _is_token(batch["masked_ids"], batch["n_tokens"]).long()
    hidden = model.bert(input_ids=batch["masked_ids"], attention_mask=mask).last_hidden_state
    is_chosen = batch["targets"] != IGNORED_TARGET
    logits = model.cls(hidden[is_chosen]).float()  # the head is large: no other words pass it
    return F.cross_entropy(logits, batch["targets"][is_chosen], reduction="sum")


def view_loss_sum(one: Tensor, two: Tensor) -> Tensor:
    """Return the NT-Xent loss of two views (B, H), summed over rows.

    A row's loss is the mean of both directions: the first view matched with the second, and the
    second with the first.
    """
    one, two = F.normalize(one.float(), dim=1), F.normalize(two.float(), dim=1)
    both = torch.cat([one, two])
    scores = both @ both.T / TEMPERATURE
    scores.fill_diagonal_(-torch.inf)
    n = len(one)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)]).to(one.device)
    return F.cross_entropy(scores, partner, reduction="sum") / 2


def _is_token(ids: Tensor, n_tokens: Tensor) -> Tensor:
    return torch.arange(ids.shape[1], device=ids.device) < n_tokens.unsqueeze(1)
