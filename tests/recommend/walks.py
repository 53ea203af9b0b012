"""Write histories as lists of items, one per second from 0 on."""

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from profile_lib.recommend.data.histories import STEPS, Histories
from profile_lib.recommend.data.requests import Requests, requests_from_histories

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
    """Make the histories of users u0, u1, ..."""
    rows = [(f"u{number}", *_step_lists(walk).values()) for number, walk in enumerate(walks)]
    return spark.createDataFrame(rows, f"user_id string, {STEPS}")


def walk_requests(walks: Walks) -> Requests:
    """Make requests of the same users."""
    steps = Histories.from_batch(_batch([_step_lists(walk) for walk in walks]))
    return requests_from_histories(steps)


def walk_split(walks: Walks) -> pa.RecordBatch:
    """Make rows of the same users whose last item is held out."""
    held_out = [{"relevant": [walk[-1]], "relevance": [1.0]} for walk in walks]
    past = [_step_lists(walk[:-1]) for walk in walks]
    return _batch([steps | relevant for steps, relevant in zip(past, held_out, strict=True)])


def _step_lists(walk: Sequence[int]) -> dict[str, list[object]]:
    n = len(walk)
    return {
        "items": [int(item) for item in walk],
        "weights": [1.0] * n,
        "seconds": list(range(n)),
        "is_bought": [False] * n,
    }


def _batch(rows: Sequence[dict[str, list[object]]]) -> pa.RecordBatch:
    names = list(rows[0])
    columns = [pa.array([row[name] for row in rows], pa.list_(TYPES[name])) for name in names]
    return pa.RecordBatch.from_arrays(columns, names)
