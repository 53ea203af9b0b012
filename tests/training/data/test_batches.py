"""Every row once, near lengths together, and the same rows a step on any number of ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.training.data.batches import (
    cut_batches,
    join_shards,
    split_batch,
    subsample_negatives,
    to_batch,
)


def window(first: int, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows `first` to `first` + n, each with its number in its ids, as often as it is long."""
    rng = np.random.default_rng((first, seed))
    n_tokens = rng.integers(1, 9, n)
    rows = np.arange(first, first + n)
    return {
        "token_ids": np.where(np.arange(8) < n_tokens[:, None], rows[:, None] + 1, 0),
        "n_tokens": n_tokens,
        "numeric": rows[:, None].astype(np.float32),
        "labels": (rows % 5 == 0).astype(int)[:, None],
        "weight": np.ones(n, np.float32),
        "row_hash": rng.integers(-(2**62), 2**62, n),
    }


def rows_of(batches) -> list[list[int]]:
    return [sorted(batch["numeric"][:, 0].astype(int).tolist()) for batch in batches]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 9), st.integers(0, 99))
def test_every_row_comes_once_with_its_own_tokens(sizes, size, seed):
    starts = np.cumsum([0, *sizes[:-1]])
    batches = list(
        cut_batches((window(s, n) for s, n in zip(starts, sizes, strict=True)), size, (seed,), 0)
    )
    assert sorted(row for rows in rows_of(batches) for row in rows) == list(range(sum(sizes)))
    for batch in batches:
        assert len(batch["weight"]) <= size
        assert batch["token_ids"].shape[1] == batch["n_tokens"].max()
        is_token = np.arange(batch["token_ids"].shape[1]) < batch["n_tokens"][:, None]
        expected = np.where(is_token, batch["numeric"].astype(int) + 1, 0)
        np.testing.assert_array_equal(batch["token_ids"], expected)


def test_a_window_is_cut_by_length_into_batches_that_come_in_any_order():
    batches = list(cut_batches([window(0, 400)], 20, (1,), 0))
    by_length = sorted(batches, key=lambda b: (b["n_tokens"].min(), b["n_tokens"].max()))
    ends = [(b["n_tokens"].min(), b["n_tokens"].max()) for b in by_length]
    assert all(low[1] <= high[0] for low, high in zip(ends, ends[1:], strict=False))
    longest = [b["n_tokens"].max() for b in batches]
    assert longest != sorted(longest)


@given(st.integers(900, 1100), st.integers(900, 1100), st.integers(0, 99))
def test_shards_of_uneven_sizes_are_at_near_lengths_at_each_step(one, other, seed):
    shards = [
        list(cut_batches([window(0, n, seed=i)], 16, (seed,), i, [1000.0]))
        for i, n in enumerate((one, other))
    ]
    assert len(shards[0]) == len(shards[1]) == 63
    lengths = np.array([[b["n_tokens"].mean() for b in batches] for batches in shards])
    assert np.abs(lengths[0] - lengths[1]).max() <= 1.0
    sizes = [len(b["weight"]) for batches in shards for b in batches]
    assert 14 <= min(sizes) <= max(sizes) <= 18


def test_the_order_depends_on_the_seed_alone():
    def order(seed: int) -> list[list[int]]:
        return rows_of(cut_batches([window(0, 50)], 8, (seed,), 0))

    assert order(1) == order(1) != order(2)


def test_a_step_holds_the_same_rows_on_one_rank_and_on_two():
    def shard(number: int):
        return cut_batches([window(100 * number, 30 - number, seed=3)], 4, (7,), number)

    one = rows_of(join_shards([shard(0), shard(1)], 0))
    first, second = rows_of(join_shards([shard(0)], 0)), rows_of(join_shards([shard(1)], 0))
    assert one == [sorted(a + b) for a, b in zip(first, second, strict=True)]


def test_a_shard_that_ends_early_adds_nothing():
    long, short = cut_batches([window(0, 8)], 4, (7,), 0), cut_batches([window(100, 3)], 4, (7,), 1)
    sizes = [len(batch["weight"]) for batch in join_shards([long, short], 0)]
    assert sizes == [7, 4]


def test_texts_of_two_shards_are_padded_to_the_longer_one():
    short = {**window(0, 2), "n_tokens": np.array([1, 2])}
    long = {**window(2, 1), "n_tokens": np.array([5])}
    (batch,) = join_shards(
        [iter([to_batch(short, np.arange(2))]), iter([to_batch(long, np.arange(1))])], pad_id=9
    )
    assert batch["token_ids"].shape == (3, 5)
    assert batch["token_ids"][0, 2:].tolist() == [9, 9, 9]


def test_dropped_negatives_are_made_up_for_by_the_weight_of_those_kept():
    whole = window(0, 20_000)
    kept = subsample_negatives(whole, [0], 0.25, (1, 2))
    is_positive = kept["labels"][:, 0] == 1
    assert is_positive.sum() == whole["labels"].sum()
    assert set(kept["weight"][is_positive]) == {1.0}
    assert set(kept["weight"][~is_positive]) == {4.0}
    assert kept["weight"].sum() == pytest.approx(20_000, rel=0.03)


def test_a_row_is_kept_whatever_its_window_and_others_with_another_seed():
    whole = window(0, 1000)
    half = {name: column[500:] for name, column in whole.items()}
    alone = subsample_negatives(half, [0], 0.5, (1,))["numeric"][:, 0]
    together = subsample_negatives(whole, [0], 0.5, (1,))["numeric"][:, 0]
    assert alone.tolist() == together[together >= 500].tolist()
    assert alone.tolist() != subsample_negatives(half, [0], 0.5, (2,))["numeric"][:, 0].tolist()


@given(st.integers(1, 30), st.integers(1, 6))
def test_the_parts_of_a_batch_hold_its_rows_in_order_each_trimmed(n, parts):
    batch = to_batch(window(0, n), np.arange(n))
    pieces = split_batch(batch, parts)
    assert np.concatenate([p["numeric"][:, 0] for p in pieces]).tolist() == list(range(n))
    assert len(pieces) == min(n, parts)
    assert all(p["token_ids"].shape[1] == p["n_tokens"].max() for p in pieces)
