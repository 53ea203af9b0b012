"""Test which words are masked, and that sums over parts equal those of the whole batch."""

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

from profile_lib.training.data.batches import split_batch
from profile_lib.training.objectives.self_supervised import (
    IGNORED_TARGET,
    Masking,
    SelfSupervisedObjective,
)
from tests.worlds import tiny_plan

CLS, SEP, MASK, N_WORDS = 2, 3, 4, 50
MASKING = Masking(share=0.4, mask_id=MASK, special_ids=(CLS, SEP, MASK), n_words=N_WORDS)
PLAN = tiny_plan()


def make_batch(n: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ids, lengths = rng.integers(5, N_WORDS, (n, 12)), rng.integers(4, 13, n)
    ids[:, 0] = CLS
    for row, length in enumerate(lengths):
        ids[row, length - 1], ids[row, length:] = SEP, 0
    return {
        "token_ids": ids, "n_tokens": lengths, "weight": np.ones(n, np.float32),
        "row_hash": np.arange(n) * 7919,
    }  # fmt: skip


def test_about_the_given_share_of_words_is_masked_and_special_tokens_never():
    batch = make_batch(400)
    masked = MASKING.mask(batch, (1, 2))
    is_target = masked["targets"] != IGNORED_TARGET
    n_words = int((batch["n_tokens"] - 2).sum())
    assert 0.37 < is_target.sum() / n_words < 0.43
    assert not is_target[np.isin(batch["token_ids"], (0, CLS, SEP))].any()
    assert (masked["masked_ids"] == batch["token_ids"])[~is_target].all()
    assert (masked["targets"] == batch["token_ids"])[is_target].all()
    assert 0.76 < (masked["masked_ids"][is_target] == MASK).mean() < 0.84


def test_sums_over_the_parts_of_a_batch_equal_those_of_the_whole_batch():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=N_WORDS, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    model = BertForMaskedLM(config).eval()
    objective = SelfSupervisedObjective((1.0, 0.0), PLAN, MASKING, None)
    (stage,) = objective.stages

    def compute_sums(*parts: dict[str, np.ndarray]) -> list[float]:
        prepared = [objective.prepare(part, (3,), stage) for part in parts]
        tensors = [{n: torch.from_numpy(c) for n, c in part.items()} for part in prepared]
        totals = sum(objective.weight_sums(part) for part in tensors)
        return [
            *(sum(objective.loss_sums(model, part, stage) for part in tensors)).tolist(),
            *totals.tolist(),
        ]

    in_parts, whole_batch = compute_sums(*split_batch(make_batch(), 3)), compute_sums(make_batch())
    np.testing.assert_allclose(in_parts, whole_batch, rtol=1e-5)
    assert whole_batch[3] == 8
