"""What an encoder learns from texts without labels: masked words, and two views of one user."""

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

TEMPERATURE = 0.1
IGNORED_TARGET = -100  # a word that is not asked for


@dataclass(frozen=True)
class Masking:
    """Which words are asked for, and what stands in their place."""

    share: float  # of the words; 0.15 in Devlin et al., BERT, 2019
    mask_id: int
    special_ids: tuple[int, ...]  # never asked for
    n_words: int

    def mask(self, batch: Batch, seed: tuple[int, ...]) -> Batch:
        """The batch with `masked_ids` and `targets`: of the words asked for eight in ten are
        masked, one in ten is any other word, one in ten stays. Draws depend on seed, row and
        place alone."""
        ids, rows = batch["token_ids"], batch["row_hash"]
        own = rows[:, None] + np.arange(ids.shape[1]) * POSITION_HASH_STEP
        is_word = np.arange(ids.shape[1]) < batch["n_tokens"][:, None]
        is_word &= ~np.isin(ids, self.special_ids)
        is_asked = is_word & (uniform(own, (*seed, 20)) < self.share)
        way = uniform(own, (*seed, 21))
        other = (uniform(own, (*seed, 22)) * self.n_words).astype(np.int64)
        put = np.where(way < 0.8, self.mask_id, np.where(way < 0.9, other, ids))
        return {
            **batch,
            "masked_ids": np.where(is_asked, put, ids),
            "targets": np.where(is_asked, ids, IGNORED_TARGET),
        }


class SelfSupervisedObjective:
    """Masked words (Devlin et al. 2019), and views told apart (Chen et al., SimCLR, 2020).

    A part whose weight is 0 is left out. The views of a user are two augmented texts; the others
    in the rank's batch are what they are told apart from.
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
        only = Stage("words and views", True, plan.epochs, plan.batch_size, 1.0)
        self.stages: tuple[Stage, ...] = (only,)

    def parameter_groups(self, model: BertForMaskedLM, stage: Stage) -> Iterator[dict[str, Any]]:
        """The encoder by its layers, the head of the words at the heads' rate."""
        plan = self.plan
        head = model.cls.predictions.transform
        for part, lr in (
            *layerwise_learning_rates(model.bert, plan.encoder_lr, plan.layer_decay),
            (head, plan.head_lr),
        ):
            yield from make_parameter_groups(part, lr, plan.weight_decay)
        bias = [model.cls.predictions.bias]  # the words' vectors themselves are the embeddings'
        yield {"params": bias, "lr": plan.head_lr, "peak_lr": plan.head_lr, "weight_decay": 0.0}

    def prepare(self, batch: Batch, seed: tuple[int, ...], stage: Stage) -> Batch:
        """The batch with its words masked, and with two views of each text."""
        prepared = self.masking.mask(batch, seed)
        if self.augmenter is not None and self.weights[1] > 0:
            for number in (1, 2):
                view = self.augmenter.augment(batch, (*seed, number))
                prepared |= {f"{n}_{number}": view[n] for n in ("token_ids", "n_tokens")}
        return prepared

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """The words asked for, and the rows."""
        asked = (batch["targets"] != IGNORED_TARGET).sum()
        return torch.stack([asked, torch.tensor(len(batch["weight"]), device=asked.device)]).float()

    def loss_sums(self, model: BertForMaskedLM, batch: TensorBatch, stage: Stage) -> Tensor:
        """The cross-entropy of the words, and of finding the other view, in nats."""
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
    """The cross-entropy in nats, summed over the words asked for."""
    mask = _is_token(batch["masked_ids"], batch["n_tokens"]).long()
    hidden = model.bert(input_ids=batch["masked_ids"], attention_mask=mask).last_hidden_state
    is_asked = batch["targets"] != IGNORED_TARGET
    logits = model.cls(hidden[is_asked]).float()  # of the words asked for alone
    return F.cross_entropy(logits, batch["targets"][is_asked], reduction="sum")


def view_loss_sum(one: Tensor, two: Tensor) -> Tensor:
    """(B, H), (B, H) → the NT-Xent loss summed over the rows, the mean of both directions."""
    one, two = F.normalize(one.float(), dim=1), F.normalize(two.float(), dim=1)
    both = torch.cat([one, two])
    scores = both @ both.T / TEMPERATURE
    scores.fill_diagonal_(-torch.inf)
    n = len(one)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)]).to(one.device)
    return F.cross_entropy(scores, partner, reduction="sum") / 2


def _is_token(ids: Tensor, n_tokens: Tensor) -> Tensor:
    return torch.arange(ids.shape[1], device=ids.device) < n_tokens.unsqueeze(1)
