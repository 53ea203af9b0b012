"""Test how rows are cut into batches: each once, by length, on any number of processes."""

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
    """Return `n` rows from number `first`; the ids of a row repeat its number plus one."""
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
def test_every_row_is_in_one_batch_with_its_own_tokens(sizes, size, seed):
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


def test_a_window_is_cut_by_length_and_its_batches_are_shuffled():
    batches = list(cut_batches([window(0, 400)], 20, (1,), 0))
    by_length = sorted(batches, key=lambda b: (b["n_tokens"].min(), b["n_tokens"].max()))
    ends = [(b["n_tokens"].min(), b["n_tokens"].max()) for b in by_length]
    assert all(low[1] <= high[0] for low, high in zip(ends, ends[1:], strict=False))
    longest = [b["n_tokens"].max() for b in batches]
    assert longest != sorted(longest)


@given(st.integers(900, 1100), st.integers(900, 1100), st.integers(0, 99))
def test_shards_of_uneven_sizes_have_similar_lengths_at_each_step(first, second, seed):
    shards = [
        list(cut_batches([window(0, n, seed=i)], 16, (seed,), i, [1000.0]))
        for i, n in enumerate((first, second))
    ]
    assert len(shards[0]) == len(shards[1]) == 63
    lengths = np.array([[b["n_tokens"].mean() for b in batches] for batches in shards])
    assert np.abs(lengths[0] - lengths[1]).max() <= 1.0
    sizes = [len(b["weight"]) for batches in shards for b in batches]
    assert 14 <= min(sizes) <= max(sizes) <= 18


def test_the_order_of_batches_depends_on_the_seed_alone():
    def order(seed: int) -> list[list[int]]:
        return rows_of(cut_batches([window(0, 50)], 8, (seed,), 0))

    assert order(1) == order(1) != order(2)


def test_a_step_has_the_same_rows_on_one_process_and_on_two():
    def shard(number: int):
        return cut_batches([window(100 * number, 30 - number, seed=3)], 4, (7,), number)

    together = rows_of(join_shards([shard(0), shard(1)], 0))
    first, second = rows_of(join_shards([shard(0)], 0)), rows_of(join_shards([shard(1)], 0))
    assert together == [sorted(a + b) for a, b in zip(first, second, strict=True)]


def test_a_shard_that_ends_early_adds_no_rows_to_later_batches():
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


def test_the_weights_of_kept_negatives_compensate_for_the_dropped_ones():
    rows = window(0, 20_000)
    kept = subsample_negatives(rows, [0], 0.25, (1, 2))
    is_positive = kept["labels"][:, 0] == 1
    assert is_positive.sum() == rows["labels"].sum()
    assert set(kept["weight"][is_positive]) == {1.0}
    assert set(kept["weight"][~is_positive]) == {4.0}
    assert kept["weight"].sum() == pytest.approx(20_000, rel=0.03)


def test_whether_a_row_is_kept_depends_on_the_seed_and_not_on_its_window():
    rows = window(0, 1000)
    half = {name: column[500:] for name, column in rows.items()}
    kept_of_half = subsample_negatives(half, [0], 0.5, (1,))["numeric"][:, 0]
    kept_of_all = subsample_negatives(rows, [0], 0.5, (1,))["numeric"][:, 0]
    assert kept_of_half.tolist() == kept_of_all[kept_of_all >= 500].tolist()
    with_other_seed = subsample_negatives(half, [0], 0.5, (2,))["numeric"][:, 0]
    assert kept_of_half.tolist() != with_other_seed.tolist()


@given(st.integers(1, 30), st.integers(1, 6))
def test_the_parts_of_a_batch_are_trimmed_and_keep_the_order_of_rows(n, parts):
    batch = to_batch(window(0, n), np.arange(n))
    pieces = split_batch(batch, parts)
    assert np.concatenate([p["numeric"][:, 0] for p in pieces]).tolist() == list(range(n))
    assert len(pieces) == min(n, parts)
    assert all(p["token_ids"].shape[1] == p["n_tokens"].max() for p in pieces)
