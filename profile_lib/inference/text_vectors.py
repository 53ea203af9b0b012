"""Add the encoder's vectors of a frame's texts by a pandas UDF."""

from collections.abc import Iterator

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.inference.row_arrays import FLOATS, to_row_arrays
from profile_lib.inference.udf import TASKS_PER_CORE, load_cached_predictor, task_device
from profile_lib.spark.workers import freeze_loaded_modules, task_threads


def add_text_vectors(
    frame: DataFrame,
    folder: str,
    *,
    model_version: str,
    runtime: str,
    batch_tokens: int,
) -> DataFrame:
    """Add the column `vector`, the mean of the encoder's last hidden states over `token_ids`.

    The frame has the columns text, token_ids and n_tokens, never null. When it is computed, Spark
    raises an error that holds an InputError if the folder holds another version of the model or a
    model that reads no text.
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
    arranged = frame.repartition(n_parts, "text").sortWithinPartitions("n_tokens", "text")
    return arranged.withColumn("vector", encode("token_ids", "n_tokens"))
