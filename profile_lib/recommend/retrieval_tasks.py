"""Apply a saved retrieval model to batches of requests in Spark tasks."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import slice_batches
from profile_lib.recommend.candidates.registry import register_sources, registered_sources
from profile_lib.recommend.retrieval_model import RetrievalModel, load_cached_retrieval

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]


def map_requests(
    frame: DataFrame,
    folder: str,
    version: str,
    schema: str,
    prepare: Callable[[RetrievalModel], BatchFunction],
    *,
    max_rows: int,
) -> DataFrame:
    """Map batches of at most `max_rows` rows by a function that `prepare` returns.

    `prepare` is called once per task, with the retrieval model of this `version` in `folder`;
    `schema` is that of the result. Sources that this process has registered are registered in the
    workers as well.
    """
    kinds = registered_sources()

    def apply(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        register_sources(kinds)
        map_batch = prepare(load_cached_retrieval(folder, version))
        for part in slice_batches(batches, max_rows):
            yield map_batch(part)

    return frame.mapInArrow(apply, schema)
