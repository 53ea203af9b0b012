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

from profile_lib.arrays.groups import Floats, slice_batches
from profile_lib.metrics import ranking as ranks
from profile_lib.recommend.candidates.source import Requests
from profile_lib.recommend.candidates.top_k import top_k_dense
from profile_lib.recommend.data.histories import STEP_COLUMNS, STEPS, Histories
from profile_lib.recommend.evaluation.relevant_items import RELEVANT_SCHEMA, RelevantItems
from profile_lib.recommend.serving.requests import PROFILE_NUMBERS

SPLIT_SCHEMA = f"user_id string, {STEPS}, {RELEVANT_SCHEMA}"
MEASURES_SCHEMA = ", ".join(
    ["user_id string", *(f"{name} double" for name in ranks.RANKING_METRICS)]
)
TOP_ITEMS_SCHEMA = "user_id string, item int, rank int"
MAX_CELLS = 2**24  # of scores, users times items: 64 MiB, and as much again to rank them

# Scores of all items for n users, (n, n_items); what a sparse array doesn't store is none.
ScoreAllItems = Callable[[Requests], sparse.csr_array | Floats]


def leave_one_out(histories: DataFrame) -> DataFrame:
    """SPLIT_SCHEMA rows: to be found is the item that the user met last for the first time, and all steps
    before that one are the past. Users for whom nothing lies before it are left out.

    Of a split once more it gives a validation split, whose items lie before those of the test.
    """
    first_met = F.transform("items", lambda item: F.array_position("items", item))
    placed = histories.withColumn("n_past", (F.array_max(first_met) - 1).cast("int"))
    wanted = F.array(F.get("items", F.col("n_past")))
    return _split(placed.where("n_past > 0"), wanted)


def histories_before(histories: DataFrame, cutoff: datetime) -> DataFrame:
    """The steps of each user before `cutoff`; users without any are left out."""
    n_past = F.size(F.filter("seconds", lambda second: second < F.unix_seconds(F.lit(cutoff))))
    past = [F.slice(name, F.lit(1), n_past).alias(name) for name in STEP_COLUMNS]
    return histories.where(n_past > 0).select("user_id", *past)


def split_at_cutoff(histories: DataFrame, cutoff: datetime) -> DataFrame:
    """SPLIT_SCHEMA rows: the past is what lies before `cutoff`, and to be found is what the user met
    from then on for the first time, each item once. Users without either are left out."""
    is_past = F.filter("seconds", lambda second: second < F.unix_seconds(F.lit(cutoff)))
    placed = histories.withColumn("n_past", F.size(is_past))
    wanted = F.array_except("items", F.slice("items", F.lit(1), F.col("n_past")))
    return _split(placed.where("n_past > 0"), wanted).where(F.size("relevant") > 0)


def requests_from_histories(steps: Histories) -> Requests:
    """Users of whom nothing is known but what they met, asked for right after their last step."""
    unknown = np.zeros((steps.n_users, 0), np.float32)
    now = np.zeros(steps.n_users, np.int64)
    now[steps.user] = steps.seconds + 1  # the last of a user's steps stays
    numbers = np.full((steps.n_users, len(PROFILE_NUMBERS)), np.nan, np.float32)
    return Requests(steps, unknown, numbers, unknown, np.zeros((steps.n_users, 0), np.int64), now)


def measure(split: DataFrame, score_all: ScoreAllItems, *, n_items: int, k: int) -> DataFrame:
    """A row a user_id with each of `ranks.RANKING_METRICS` among the first k.

    All items are ranked but those of the user's past; equal scores count against the source, and
    what has no score isn't found.
    """

    def measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            relevant = RelevantItems.from_batch(batch)
            rank = relevant_ranks(score_all, batch, n_items)
            found = ranks.ranking_metrics_per_user(relevant.user, rank, relevant.relevance, k)
            users = batch["user_id"].take(pa.array(np.unique(relevant.user)))
            columns = [users, *map(pa.array, found.values())]
            yield pa.RecordBatch.from_arrays(columns, ["user_id", *found])

    return split.mapInArrow(measured, MEASURES_SCHEMA)


def list_top_items(
    split: DataFrame, score_all: ScoreAllItems, *, n_items: int, k: int
) -> DataFrame:
    """(user_id, item, rank): the first k items of each user, those of the past left out; equal ones
    by their number. Shorter where a source scores fewer."""

    def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part, scores in _scored(score_all, batch, n_items):
                found = top_k_dense(scores, k)
                user = np.repeat(np.arange(len(scores)), np.diff(found.indptr))
                rank = np.arange(len(user)) - found.indptr[user] + 1
                columns = [found.indices.astype(np.int32), rank.astype(np.int32)]
                yield pa.RecordBatch.from_arrays(
                    [part["user_id"].take(pa.array(user)), *map(pa.array, columns)],
                    ["user_id", "item", "rank"],
                )

    return split.mapInArrow(listed, TOP_ITEMS_SCHEMA)


def relevant_ranks(score_all: ScoreAllItems, batch: pa.RecordBatch, n_items: int) -> Floats:
    """(m,), of SPLIT_SCHEMA rows: the rank of each wanted item among all that its user has not met."""
    parts = [np.zeros(0)]
    for part, scores in _scored(score_all, batch, n_items):
        parts.append(ranks.rank_relevant_items(scores, *RelevantItems.from_batch(part)))
    return np.concatenate(parts)


def _split(placed: DataFrame, wanted: Column) -> DataFrame:
    past = [F.slice(name, F.lit(1), F.col("n_past")).alias(name) for name in STEP_COLUMNS]
    gains = F.transform("relevant", lambda _: F.lit(1.0).cast("float")).alias("relevance")
    return placed.withColumn("relevant", wanted).select("user_id", *past, "relevant", gains)


def _scored(
    score_all: ScoreAllItems, batch: pa.RecordBatch, n_items: int
) -> Iterator[tuple[pa.RecordBatch, Floats]]:
    """Some users at a time, with their scores of all items, minus infinity for those they met."""
    at_once = max(1, MAX_CELLS // n_items)
    for part in slice_batches([batch], at_once):
        steps = Histories.from_batch(part)
        scores = _dense(score_all(requests_from_histories(steps)))
        scores[steps.user, steps.items] = -np.inf
        yield part, scores


def _dense(scores: sparse.csr_array | Floats) -> Floats:
    if isinstance(scores, np.ndarray):
        return scores.copy()
    found = scores.tocoo()
    dense = np.full(scores.shape, -np.inf, np.float32)
    dense[found.row, found.col] = found.data
    return dense
