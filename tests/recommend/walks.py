"""Histories written as the items that users met, a step a second from 0 on, each of weight 1."""

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from profile_lib.recommend.candidates.source import Requests
from profile_lib.recommend.data.histories import STEPS, Histories
from profile_lib.recommend.evaluation.protocols import requests_from_histories

Walks = Sequence[Sequence[int]]
TYPES = {
    "items": pa.int32(),
    "weights": pa.float32(),
    "seconds": pa.int64(),
    "is_bought": pa.bool_(),
    "relevant": pa.int32(),
    "relevance": pa.float32(),
}


def walk_frame(spark: SparkSession, walks: Walks) -> DataFrame:
    """Of users u0, u1, ..."""
    rows = [(f"u{number}", *_lists(walk).values()) for number, walk in enumerate(walks)]
    return spark.createDataFrame(rows, f"user_id string, {STEPS}")


def walk_requests(walks: Walks) -> Requests:
    """The same users, as a source is asked for them."""
    return requests_from_histories(Histories.from_batch(_batch([_lists(walk) for walk in walks])))


def walk_split(walks: Walks) -> pa.RecordBatch:
    """The same users, whose last steps are to be found."""
    wanted = [{"relevant": [walk[-1]], "relevance": [1.0]} for walk in walks]
    past = [_lists(walk[:-1]) for walk in walks]
    return _batch([a | b for a, b in zip(past, wanted, strict=True)])


def _lists(walk: Sequence[int]) -> dict[str, list[object]]:
    n = len(walk)
    return {
        "items": [int(item) for item in walk],
        "weights": [1.0] * n,
        "seconds": list(range(n)),
        "is_bought": [False] * n,
    }


def _batch(lists: Sequence[dict[str, list[object]]]) -> pa.RecordBatch:
    names = list(lists[0])
    columns = [pa.array([of[n] for of in lists], pa.list_(TYPES[n])) for n in names]
    return pa.RecordBatch.from_arrays(columns, names)
