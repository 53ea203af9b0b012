"""Split histories, and measure how well sources find the held-out items.

All items are ranked. Spark tasks process users in batches, and no user's data reaches the driver.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import slice_batches
from profile_lib.arrays.types import Floats
from profile_lib.metrics import ranking
from profile_lib.recommend.candidates.shared.top_k import top_k_dense
from profile_lib.recommend.data.arrow_columns import record_batch
from profile_lib.recommend.data.histories import STEP_COLUMNS, STEPS, Histories
from profile_lib.recommend.data.relevant_items import RELEVANT_SCHEMA, RelevantItems
from profile_lib.recommend.data.requests import Requests, requests_from_histories

SPLIT_SCHEMA = f"user_id string, {STEPS}, {RELEVANT_SCHEMA}"
MEASURES_SCHEMA = ", ".join(
    ["user_id string", *(f"{name} double" for name in ranking.RANKING_METRICS)]
)
TOP_ITEMS_SCHEMA = "user_id string, item int, rank int"
MAX_CELLS = 2**24  # scores of a batch, users times items: 64 MiB, and as much again to rank them

# Scores of all items for n users, (n, n_items). Items that a sparse array does not store have none.
ScoreAllItems = Callable[[Requests], sparse.csr_array | Floats]


def leave_one_out(histories: DataFrame) -> DataFrame:
    """Split off each user's last new item: SPLIT_SCHEMA rows.

    The relevant item is the last one that the user interacted with for the first time; the steps
    before that are the past. Users without a past are left out. Splitting the result again gives a
    validation split, whose items come before those of the test.
    """
    first_step = F.transform("items", lambda item: F.array_position("items", item))
    with_past = histories.withColumn("n_past", (F.array_max(first_step) - 1).cast("int"))
    relevant = F.array(F.get("items", F.col("n_past")))
    return _split(with_past.where("n_past > 0"), relevant)


def histories_before(histories: DataFrame, cutoff: datetime) -> DataFrame:
    """Return each user's steps before `cutoff`, for users who have some."""
    with_past = histories.withColumn("n_past", _n_steps_before(cutoff)).where("n_past > 0")
    return with_past.select("user_id", *_past_steps())


def split_at_cutoff(histories: DataFrame, cutoff: datetime) -> DataFrame:
    """Split histories at `cutoff`: SPLIT_SCHEMA rows.

    The relevant items are those whose first interaction comes at or after the cutoff, each once.
    Users without a past or without relevant items are left out.
    """
    with_past = histories.withColumn("n_past", _n_steps_before(cutoff))
    relevant = F.array_except("items", F.slice("items", F.lit(1), F.col("n_past")))
    return _split(with_past.where("n_past > 0"), relevant).where(F.size("relevant") > 0)


def measure(split: DataFrame, score_all: ScoreAllItems, *, n_items: int, k: int) -> DataFrame:
    """Measure RANKING_METRICS of the first k items: a row per user_id.

    All items except those of the past are ranked. A relevant item ranks after all others of equal
    score, and an item without a score is not found.
    """

    def measure_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            relevant = RelevantItems.from_batch(batch)
            rank = relevant_ranks(score_all, batch, n_items)
            metrics = ranking.ranking_metrics_per_user(relevant.user, rank, relevant.relevance, k)
            users = batch["user_id"].take(pa.array(np.unique(relevant.user)))
            columns = [users, *map(pa.array, metrics.values())]
            yield pa.RecordBatch.from_arrays(columns, ["user_id", *metrics])

    return split.mapInArrow(measure_batches, MEASURES_SCHEMA)


def list_top_items(
    split: DataFrame, score_all: ScoreAllItems, *, n_items: int, k: int
) -> DataFrame:
    """List the first k items of each user: (user_id, item, rank).

    Items of the past are left out. Items of equal scores come in the order of their numbers. A list
    is shorter if the source scores fewer items.
    """

    def list_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part, scores in _score_parts(score_all, batch, n_items):
                top = top_k_dense(scores, k)
                user = np.repeat(np.arange(len(scores)), np.diff(top.indptr))
                rank = np.arange(len(user)) - top.indptr[user] + 1
                items = (values.astype(np.int32) for values in (top.indices, rank))
                yield record_batch(TOP_ITEMS_SCHEMA, [part["user_id"].take(pa.array(user)), *items])

    return split.mapInArrow(list_batches, TOP_ITEMS_SCHEMA)


def relevant_ranks(score_all: ScoreAllItems, batch: pa.RecordBatch, n_items: int) -> Floats:
    """Rank each relevant item among all items outside the past: (m,), from 1."""
    parts = [np.zeros(0)]
    for part, scores in _score_parts(score_all, batch, n_items):
        parts.append(ranking.rank_relevant_items(scores, *RelevantItems.from_batch(part)))
    return np.concatenate(parts)


def _n_steps_before(cutoff: datetime) -> Column:
    return F.size(F.filter("seconds", lambda second: second < F.unix_seconds(F.lit(cutoff))))


def _past_steps() -> list[Column]:
    """Select the first `n_past` steps."""
    return [F.slice(name, F.lit(1), F.col("n_past")).alias(name) for name in STEP_COLUMNS]


def _split(with_past: DataFrame, relevant: Column) -> DataFrame:
    relevance = F.transform("relevant", lambda _: F.lit(1.0).cast("float")).alias("relevance")
    return with_past.withColumn("relevant", relevant).select(
        "user_id", *_past_steps(), "relevant", relevance
    )


def _score_parts(
    score_all: ScoreAllItems, batch: pa.RecordBatch, n_items: int
) -> Iterator[tuple[pa.RecordBatch, Floats]]:
    """Yield parts of the batch with the scores of all items.

    Scores are (users of the part, n_items). Items of the past score minus infinity.
    """
    max_users = max(1, MAX_CELLS // n_items)
    for part in slice_batches([batch], max_users):
        steps = Histories.from_batch(part)
        scores = _to_dense(score_all(requests_from_histories(steps)))
        scores[steps.user, steps.items] = -np.inf
        yield part, scores


def _to_dense(scores: sparse.csr_array | Floats) -> Floats:
    if isinstance(scores, np.ndarray):
        return scores.copy()
    cells = scores.tocoo()
    dense = np.full(scores.shape, -np.inf, np.float32)
    dense[cells.row, cells.col] = cells.data
    return dense
