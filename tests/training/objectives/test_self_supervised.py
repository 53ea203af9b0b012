"""Masked words: which are asked for, and that ranks sum over parts what one process sums."""

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


def a_batch(n: int = 8) -> dict[str, np.ndarray]:
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
    batch = a_batch(400)
    masked = MASKING.mask(batch, (1, 2))
    is_asked = masked["targets"] != IGNORED_TARGET
    n_words = int((batch["n_tokens"] - 2).sum())
    assert 0.37 < is_asked.sum() / n_words < 0.43
    assert not is_asked[np.isin(batch["token_ids"], (0, CLS, SEP))].any()
    assert (masked["masked_ids"] == batch["token_ids"])[~is_asked].all()
    assert (masked["targets"] == batch["token_ids"])[is_asked].all()
    assert 0.76 < (masked["masked_ids"][is_asked] == MASK).mean() < 0.84


def test_the_sums_of_two_ranks_equal_those_of_one_process():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=N_WORDS, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    model = BertForMaskedLM(config).eval()
    objective = SelfSupervisedObjective((1.0, 0.0), PLAN, MASKING, None)
    (stage,) = objective.stages

    def summed(*parts: dict[str, np.ndarray]) -> list[float]:
        prepared = [objective.prepare(part, (3,), stage) for part in parts]
        given = [{n: torch.from_numpy(c) for n, c in part.items()} for part in prepared]
        totals = sum(objective.weight_sums(of) for of in given)
        return [
            *(sum(objective.loss_sums(model, of, stage) for of in given)).tolist(),
            *totals.tolist(),
        ]

    found, wanted = summed(*split_batch(a_batch(), 3)), summed(a_batch())
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert wanted[3] == 8
