"""Frames in, frames with a column `prediction` out: the predictor as an iterator pandas UDF."""

import gc
import math
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from pyspark import SparkContext, TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.inference.runtime_choice import RuntimeName
from profile_lib.spark.category_codes import append_category_codes
from profile_lib.spark.prefetch import Prefetcher
from profile_lib.spark.workers import freeze_loaded_modules, task_threads

if TYPE_CHECKING:  # torch is for the workers: a driver starts sooner without it
    import torch

    from profile_lib.inference.predictor import EncodingStats, Predictions, Predictor

ROWS_PER_CLOCK_CHECK = 32  # rows between two looks at the clock: some passes of the encoder
TASKS_PER_CORE = 4  # so many parts of the rows, so that no core waits long for the last one
FLOATS = T.ArrayType(T.FloatType())
PREDICTION = T.StructType(
    [
        T.StructField("vector", FLOATS),
        T.StructField("outputs", FLOATS),  # of all tasks in order, all classes of each
        T.StructField("reason_events", T.ArrayType(T.IntegerType())),  # n_reasons a task, from 0
        T.StructField("reason_effects", FLOATS),
    ]
)


class InferenceCounters(NamedTuple):
    """What the workers tell of an inference, as Spark accumulators; right once it has run."""

    loads: Any  # models loaded: one a Python worker
    texts: Any
    tokens: Any
    padding: Any
    skipped_rows: Any  # rows for which there was no time

    @classmethod
    def create(cls, context: SparkContext) -> "InferenceCounters":
        """All at zero."""
        return cls(*[context.accumulator(0) for _ in cls._fields])

    def add(
        self, loads: int, before: "EncodingStats", after: "EncodingStats", skipped_rows: int
    ) -> None:
        """What one task has done."""
        done = (loads, *(b - a for a, b in zip(before, after, strict=True)), skipped_rows)
        for counter, more in zip(self, done, strict=True):
            counter.add(more)

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
    categories: Sequence[tuple[str, Sequence[str]]],
    model_version: str,
    runtime: RuntimeName,
    batch_tokens: int,
    max_events: int,
    n_reasons: int,
    counters: InferenceCounters,
    max_seconds: float | None = None,
) -> DataFrame:
    """`frame` with `prediction` of its `token_ids`, `n_tokens` and `numeric`; null where they are.

    Behind the numbers the model reads the positions of `categories`, columns of the frame each
    with the values that the model knows.
    Rows are brought together by text and sorted by length first, so that equal texts meet and are
    encoded once, and near lengths share a forward pass. While a batch is predicted, a thread
    makes arrays of the next. A task computes on as many threads as it has cores, or on its GPU.
    With `max_seconds`, each core predicts for about so long from when its model is loaded, what is
    known of the longest by `cutoff_ts` first, and rows that are left stay null.
    """

    @F.pandas_udf(PREDICTION)  # type: ignore[call-overload]
    def predict(
        batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]],
    ) -> Iterator[pd.DataFrame]:
        freeze_loaded_modules()
        loaded = load_cached_predictor.cache_info().misses
        predictor = load_cached_predictor(
            folder, model_version, runtime, task_device(), task_threads(), batch_tokens, max_events
        )
        loads, before = load_cached_predictor.cache_info().misses - loaded, predictor.stats
        deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
        left = 0
        for rows in Prefetcher(to_row_arrays(*batch) for batch in batches):
            predicted = predict_before_deadline(deadline, predictor, rows, n_reasons)
            left += int(rows.is_known.sum() - predicted["vector"].notna().sum())
            yield predicted
        counters.add(loads, before, predictor.stats, left)

    n_parts = frame.sparkSession.sparkContext.defaultParallelism
    n_parts *= TASKS_PER_CORE if max_seconds is None else 1  # a task has all of its core's time
    order = ["n_tokens", "text"] if max_seconds is None else ["cutoff_ts"]
    together = frame.repartition(n_parts, "text").sortWithinPartitions(*order)
    numeric = F.when(
        F.col("numeric").isNotNull(), append_category_codes(F.col("numeric"), categories)
    )
    return together.withColumn("prediction", predict("token_ids", "n_tokens", numeric))


def task_device() -> "torch.device":
    """The GPU that Spark gave to the task that asks, else the first there is, else the processor.

    With `spark.task.resource.gpu.amount` 1 each task, and so each Python worker, has its own.
    """
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    task = TaskContext.get()
    given = task.resources().get("gpu") if task is not None else None
    return torch.device("cuda", int(given.addresses[0]) if given else 0)


class RowArrays(NamedTuple):
    """One Arrow batch as arrays; of the n rows those that are known (n,) are in the arrays."""

    is_known: np.ndarray
    token_ids: np.ndarray
    n_tokens: np.ndarray
    numeric: np.ndarray

    @classmethod
    def all_missing(cls, n: int) -> "RowArrays":
        """Of `n` rows none known."""
        ids, numbers = np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
        return cls(np.zeros(n, bool), ids, np.zeros(0, np.int64), numbers)

    def slice(self, start: int, end: int) -> "RowArrays":
        """Those from place `start` until `end`."""
        first, last = (int(self.is_known[:place].sum()) for place in (start, end))
        arrays = (array[first:last] for array in self[1:])
        return RowArrays(self.is_known[start:end], *arrays)


def to_row_arrays(token_ids: pd.Series, n_tokens: pd.Series, numeric: pd.Series) -> RowArrays:
    """The columns of an Arrow batch as arrays; a row is known where none of them is null."""
    known = (token_ids.notna() & n_tokens.notna() & numeric.notna()).to_numpy()
    if not known.any():
        return RowArrays.all_missing(len(known))
    return RowArrays(
        known,
        np.stack(token_ids[known].to_list()).astype(np.int32, copy=False),
        n_tokens[known].to_numpy(np.int64),
        np.stack(numeric[known].to_list()).astype(np.float32),
    )


def predict_before_deadline(
    deadline: float, predictor: "Predictor", rows: RowArrays, n_reasons: int
) -> pd.DataFrame:
    """One Arrow batch predicted in order, ROWS_PER_CLOCK_CHECK rows at a time; what is not begun before `deadline`,
    a moment of time.monotonic, stays null."""
    if deadline == math.inf:
        return predict_rows(predictor, rows, n_reasons)
    parts, taken = [], 0
    while taken < len(rows.is_known) and time.monotonic() < deadline:
        parts.append(
            predict_rows(predictor, rows.slice(taken, taken + ROWS_PER_CLOCK_CHECK), n_reasons)
        )
        taken += ROWS_PER_CLOCK_CHECK
    left = RowArrays.all_missing(max(0, len(rows.is_known) - taken))
    return pd.concat([*parts, predict_rows(predictor, left, n_reasons)], ignore_index=True)


def predict_rows(predictor: "Predictor", rows: RowArrays, n_reasons: int) -> pd.DataFrame:
    """One Arrow batch of rows predicted, in order; a row that is not known stays null."""
    known = rows.is_known
    # None and not NaN, which Arrow takes for a number in place of a list.
    nothing = dict.fromkeys(PREDICTION.names, [None] * len(known))
    out = pd.DataFrame(nothing, dtype=object)
    if known.any():
        found = predictor.predict(rows.token_ids, rows.n_tokens, rows.numeric)
        for name, values in _columns(found, n_reasons).items():
            out.loc[known, name] = pd.Series(list(values), index=out.index[known], dtype=object)
    return out


def _columns(found: "Predictions", n_reasons: int) -> dict[str, np.ndarray]:
    n = len(found.vectors)
    tops = [
        np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :n_reasons]
        for effects in found.effects.values()
    ]
    effects = [
        np.take_along_axis(e, t, 1) for e, t in zip(found.effects.values(), tops, strict=True)
    ]
    return {
        "vector": found.vectors,
        "outputs": np.hstack([answers.reshape(n, -1) for answers in found.outputs.values()]),
        "reason_events": np.hstack(tops).astype(np.int32),
        "reason_effects": np.hstack(effects),
    }


@lru_cache(maxsize=1)
def load_cached_predictor(
    folder: str,
    model_version: str,
    runtime: RuntimeName,
    device: "torch.device",
    threads: int,
    batch_tokens: int,
    max_events: int,
) -> "Predictor":
    """Loaded once a Python worker, which serves many tasks, and anew for another version."""
    from profile_lib.inference.predictor import Predictor

    gc.unfreeze()  # what is left of an earlier one may go
    return Predictor.load(
        folder,
        model_version,
        runtime=runtime,
        device=device,
        threads=threads,
        batch_tokens=batch_tokens,
        max_events=max_events,
    )
