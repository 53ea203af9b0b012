"""Add a column `prediction` to a frame by a pandas UDF."""

import gc
import math
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from pyspark import SparkContext, TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.inference.row_arrays import PREDICTION, predict_before_deadline, to_row_arrays
from profile_lib.spark.category_codes import Category, append_category_codes
from profile_lib.spark.prefetch import Prefetcher
from profile_lib.spark.workers import freeze_loaded_modules, task_threads

if TYPE_CHECKING:  # torch is for the workers: a driver starts sooner without it
    import torch

    from profile_lib.inference.predictor import EncodingStats, Predictor

TASKS_PER_CORE = 4  # so that no core waits long for the last task


class InferenceCounters(NamedTuple):
    """Counters of an inference, as Spark accumulators; complete once it has run."""

    loads: Any  # loaded models: one per Python worker
    texts: Any  # distinct texts
    tokens: Any
    padding: Any  # padded positions that were computed in addition to the tokens
    skipped_rows: Any  # rows for which no time was left

    @classmethod
    def create(cls, context: SparkContext) -> "InferenceCounters":
        """Return counters that are all zero."""
        return cls(*[context.accumulator(0) for _ in cls._fields])

    def add(
        self, loads: int, before: "EncodingStats", after: "EncodingStats", skipped_rows: int
    ) -> None:
        """Add the counts of one task: its encoding is the difference of `before` and `after`."""
        encoded = (b - a for a, b in zip(before, after, strict=True))
        for counter, n in zip(self, (loads, *encoded, skipped_rows), strict=True):
            counter.add(n)

    def __str__(self) -> str:
        padding = self.padding.value / max(1, self.tokens.value + self.padding.value)
        return (
            f"{self.texts.value:,} different texts encoded, {padding:.1%} of the tokens padding, "
            f"model loaded {self.loads.value} times"
        )


def add_predictions(
    frame: DataFrame,
    folder: str,
    *,
    categories: Sequence[Category],
    model_version: str,
    runtime: str,
    batch_tokens: int,
    max_events: int,
    n_reasons: int,
    counters: InferenceCounters,
    max_seconds: float | None = None,
) -> DataFrame:
    """Add the column `prediction`, a PREDICTION of each row.

    It is null if `token_ids`, `n_tokens` or `numeric` is null. The model reads the codes of
    `categories`, columns of the frame, after the numbers. Rows are repartitioned by `text` and
    sorted by length, so that equal texts are encoded once and texts of similar length share a
    forward pass. While a batch is predicted, a thread converts the next. A task computes on as many
    threads as it has cores, or on its GPU.

    With `max_seconds` each core predicts for about that long after its model is loaded, rows with
    the oldest `cutoff_ts` first, and the remaining rows stay null. When the frame is computed,
    Spark raises an error that holds an InputError if the folder holds another version of the model
    or the runtime cannot run it.
    """

    @F.pandas_udf(PREDICTION)  # type: ignore[call-overload]
    def predict(
        batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]],
    ) -> Iterator[pd.DataFrame]:
        freeze_loaded_modules()
        misses = load_cached_predictor.cache_info().misses
        predictor = load_cached_predictor(
            folder, model_version, runtime, task_device(), task_threads(), batch_tokens, max_events
        )
        loads, before = load_cached_predictor.cache_info().misses - misses, predictor.stats
        clock = time.monotonic
        deadline = math.inf if max_seconds is None else clock() + max_seconds
        skipped_rows = 0
        for rows in Prefetcher(to_row_arrays(*batch) for batch in batches):
            predicted = predict_before_deadline(deadline, clock, predictor, rows, n_reasons)
            skipped_rows += int(rows.is_known.sum() - predicted["vector"].notna().sum())
            yield predicted
        counters.add(loads, before, predictor.stats, skipped_rows)

    n_parts = frame.sparkSession.sparkContext.defaultParallelism
    n_parts *= TASKS_PER_CORE if max_seconds is None else 1  # a task has all of its core's time
    order = ["n_tokens", "text"] if max_seconds is None else ["cutoff_ts"]
    arranged = frame.repartition(n_parts, "text").sortWithinPartitions(*order)
    numeric = F.when(
        F.col("numeric").isNotNull(), append_category_codes(F.col("numeric"), categories)
    )
    return arranged.withColumn("prediction", predict("token_ids", "n_tokens", numeric))


def task_device() -> "torch.device":
    """Return this task's GPU, else the first GPU, else the processor.

    If `spark.task.resource.gpu.amount` is 1, each task, and so each Python worker, has its own.
    """
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    task = TaskContext.get()
    gpu = task.resources().get("gpu") if task is not None else None
    return torch.device("cuda", int(gpu.addresses[0]) if gpu else 0)


@lru_cache(maxsize=1)
def load_cached_predictor(
    folder: str,
    model_version: str,
    runtime: str,
    device: "torch.device",
    threads: int,
    batch_tokens: int,
    max_events: int,
) -> "Predictor":
    """Load a predictor once per Python worker and model version.

    Raises InputError as `Predictor.load` does.
    """
    from profile_lib.inference.predictor import Predictor

    gc.unfreeze()  # so that an earlier predictor can be collected
    return Predictor.load(
        folder,
        model_version,
        runtime=runtime,
        device=device,
        threads=threads,
        batch_tokens=batch_tokens,
        max_events=max_events,
    )
