"""Histories in; what each user was to find, and how well a source finds it, out: full ranking.

Frames in and out: tasks take users in batches, and no user's data reaches the driver.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib import ranks
from profile_lib.recommend.asking import NUMBERS
from profile_lib.recommend.histories import LISTS, STEPS, Histories
from profile_lib.recommend.sources import Asked
from profile_lib.recommend.top import best_of_all
from profile_lib.recommend.wanted import WANTED, Wanted
from profile_lib.segments import Floats, in_parts

SPLIT = f"user_id string, {STEPS}, {WANTED}"
MEASURED = ", ".join(["user_id string", *(f"{name} double" for name in ranks.MEASURES)])
LISTED = "user_id string, item int, rank int"
CELLS_AT_ONCE = 2**24  # of scores, users times items: 64 MiB, and as much again to rank them

# Scores of all items for n users, (n, n_items); what a sparse array doesn't store is none.
ScoreAll = Callable[[Asked], sparse.csr_array | Floats]


def leave_one_out(histories: DataFrame) -> DataFrame:
    """SPLIT rows: to be found is the item that the user met last for the first time, and all steps
    before that one are the past. Users for whom nothing lies before it are left out.

    Of a split once more it gives a validation split, whose items lie before those of the test.
    """
    first_met = F.transform("items", lambda item: F.array_position("items", item))
    placed = histories.withColumn("n_past", (F.array_max(first_met) - 1).cast("int"))
    wanted = F.array(F.get("items", F.col("n_past")))
    return _split(placed.where("n_past > 0"), wanted)


def past_at(histories: DataFrame, cutoff: datetime) -> DataFrame:
    """The steps of each user before `cutoff`; users without any are left out."""
    n_past = F.size(F.filter("seconds", lambda second: second < F.unix_seconds(F.lit(cutoff))))
    past = [F.slice(name, F.lit(1), n_past).alias(name) for name in LISTS]
    return histories.where(n_past > 0).select("user_id", *past)


def split_at(histories: DataFrame, cutoff: datetime) -> DataFrame:
    """SPLIT rows: the past is what lies before `cutoff`, and to be found is what the user met
    from then on for the first time, each item once. Users without either are left out."""
    is_past = F.filter("seconds", lambda second: second < F.unix_seconds(F.lit(cutoff)))
    placed = histories.withColumn("n_past", F.size(is_past))
    wanted = F.array_except("items", F.slice("items", F.lit(1), F.col("n_past")))
    return _split(placed.where("n_past > 0"), wanted).where(F.size("wanted") > 0)


def by_histories(steps: Histories) -> Asked:
    """Users of whom nothing is known but what they met, asked for right after their last step."""
    unknown = np.zeros((steps.n, 0), np.float32)
    now = np.zeros(steps.n, np.int64)
    now[steps.of] = steps.seconds + 1  # the last of a user's steps stays
    numbers = np.full((steps.n, len(NUMBERS)), np.nan, np.float32)
    return Asked(steps, unknown, numbers, unknown, np.zeros((steps.n, 0), np.int64), now)


def measure(split: DataFrame, score_all: ScoreAll, *, n_items: int, k: int) -> DataFrame:
    """A row a user_id with each of `ranks.MEASURES` among the first k.

    All items are ranked but those of the user's past; equal scores count against the source, and
    what has no score isn't found.
    """

    def measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            wanted = Wanted.of_batch(batch)
            rank = ranks_of(score_all, batch, n_items)
            found = ranks.by_user(wanted.user, rank, wanted.gain, k)
            users = batch["user_id"].take(pa.array(np.unique(wanted.user)))
            columns = [users, *map(pa.array, found.values())]
            yield pa.RecordBatch.from_arrays(columns, ["user_id", *found])

    return split.mapInArrow(measured, MEASURED)


def lists(split: DataFrame, score_all: ScoreAll, *, n_items: int, k: int) -> DataFrame:
    """(user_id, item, rank): the first k items of each user, those of the past left out; equal ones
    by their number. Shorter where a source scores fewer."""

    def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part, scores in _scored(score_all, batch, n_items):
                found = best_of_all(scores, k)
                user = np.repeat(np.arange(len(scores)), np.diff(found.indptr))
                rank = np.arange(len(user)) - found.indptr[user] + 1
                columns = [found.indices.astype(np.int32), rank.astype(np.int32)]
                yield pa.RecordBatch.from_arrays(
                    [part["user_id"].take(pa.array(user)), *map(pa.array, columns)],
                    ["user_id", "item", "rank"],
                )

    return split.mapInArrow(listed, LISTED)


def ranks_of(score_all: ScoreAll, batch: pa.RecordBatch, n_items: int) -> Floats:
    """(m,), of SPLIT rows: the rank of each wanted item among all that its user has not met."""
    parts = [np.zeros(0)]
    for part, scores in _scored(score_all, batch, n_items):
        parts.append(ranks.full_ranks(scores, *Wanted.of_batch(part)))
    return np.concatenate(parts)


def _split(placed: DataFrame, wanted: Column) -> DataFrame:
    past = [F.slice(name, F.lit(1), F.col("n_past")).alias(name) for name in LISTS]
    gains = F.transform("wanted", lambda _: F.lit(1.0).cast("float")).alias("gains")
    return placed.withColumn("wanted", wanted).select("user_id", *past, "wanted", gains)


def _scored(
    score_all: ScoreAll, batch: pa.RecordBatch, n_items: int
) -> Iterator[tuple[pa.RecordBatch, Floats]]:
    """Some users at a time, with their scores of all items, minus infinity for those they met."""
    at_once = max(1, CELLS_AT_ONCE // n_items)
    for part in in_parts([batch], at_once):
        steps = Histories.of_batch(part)
        scores = _dense(score_all(by_histories(steps)))
        scores[steps.of, steps.items] = -np.inf
        yield part, scores


def _dense(scores: sparse.csr_array | Floats) -> Floats:
    if isinstance(scores, np.ndarray):
        return scores.copy()
    found = scores.tocoo()
    dense = np.full(scores.shape, -np.inf, np.float32)
    dense[found.row, found.col] = found.data
    return dense
