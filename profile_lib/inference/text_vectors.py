"""A frame with tokens in, with the vectors of its texts out: as an iterator pandas UDF."""

from collections.abc import Iterator

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.inference.runtime_choice import RuntimeName
from profile_lib.inference.udf import (
    FLOATS,
    TASKS_PER_CORE,
    load_cached_predictor,
    task_device,
    to_row_arrays,
)
from profile_lib.spark.workers import freeze_loaded_modules, task_threads


def add_text_vectors(
    frame: DataFrame,
    folder: str,
    *,
    model_version: str,
    runtime: RuntimeName,
    batch_tokens: int,
) -> DataFrame:
    """`frame` with `vector`, what the encoder of a model's folder makes of `token_ids` and
    `n_tokens` alone: the mean of its last hidden states.

    Raises InputError, once it is computed, where the model is another version or reads no text.
    """

    @F.pandas_udf(FLOATS)  # type: ignore[call-overload]
    def encode(batches: Iterator[tuple[pd.Series, pd.Series]]) -> Iterator[pd.Series]:
        freeze_loaded_modules()
        device, threads = task_device(), task_threads()
        predictor = load_cached_predictor(
            folder, model_version, runtime, device, threads, batch_tokens, max_events=1
        )
        for token_ids, n_tokens in batches:
            rows = to_row_arrays(token_ids, n_tokens, pd.Series([[]] * len(n_tokens)))
            yield pd.Series(list(predictor.pool(rows.token_ids, rows.n_tokens)))

    n_parts = frame.sparkSession.sparkContext.defaultParallelism * TASKS_PER_CORE
    together = frame.repartition(n_parts, "text").sortWithinPartitions("n_tokens", "text")
    return together.withColumn("vector", encode("token_ids", "n_tokens"))
