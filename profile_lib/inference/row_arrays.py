"""Predict Arrow batches, whose rows may lack tokens or numbers, as data frames."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import types as T

if TYPE_CHECKING:  # torch is for the workers: a driver starts sooner without it
    from profile_lib.inference.predictor import Predictions, Predictor

ROWS_PER_CLOCK_CHECK = 32  # rows predicted between two readings of the clock: a few encoder passes
FLOATS = T.ArrayType(T.FloatType())
PREDICTION = T.StructType(
    [
        T.StructField("vector", FLOATS),
        T.StructField("outputs", FLOATS),  # of all tasks in order, all classes of each
        # of all tasks in order, indices of the n_reasons events with the greatest effects
        T.StructField("reason_events", T.ArrayType(T.IntegerType())),
        T.StructField("reason_effects", FLOATS),
    ]
)


class RowArrays(NamedTuple):
    """An Arrow batch of n rows. The arrays hold its m known rows.

    A row is known if it lacks neither tokens nor numbers.
    """

    is_known: np.ndarray  # (n,)
    token_ids: np.ndarray  # (m, T)
    n_tokens: np.ndarray  # (m,)
    numeric: np.ndarray  # (m, F + K)

    @classmethod
    def all_missing(cls, n: int) -> "RowArrays":
        """Return `n` rows that are all unknown."""
        ids, numbers = np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
        return cls(np.zeros(n, bool), ids, np.zeros(0, np.int64), numbers)

    def slice(self, start: int, end: int) -> "RowArrays":
        """Return the rows from `start` until before `end`."""
        first, last = (int(self.is_known[:row].sum()) for row in (start, end))
        arrays = (array[first:last] for array in self[1:])
        return RowArrays(self.is_known[start:end], *arrays)


def to_row_arrays(token_ids: pd.Series, n_tokens: pd.Series, numeric: pd.Series) -> RowArrays:
    """Convert the columns of an Arrow batch; rows without nulls are known."""
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
    deadline: float,
    clock: Callable[[], float],
    predictor: "Predictor",
    rows: RowArrays,
    n_reasons: int,
) -> pd.DataFrame:
    """Predict rows in order until `deadline`; the rows after it stay null.

    `deadline` is a value of `clock`, in seconds, which is read once per ROWS_PER_CLOCK_CHECK rows.
    The result is that of `predict_rows`.
    """
    if deadline == math.inf:
        return predict_rows(predictor, rows, n_reasons)
    parts, n_done = [], 0
    while n_done < len(rows.is_known) and clock() < deadline:
        chunk = rows.slice(n_done, n_done + ROWS_PER_CLOCK_CHECK)
        parts.append(predict_rows(predictor, chunk, n_reasons))
        n_done += ROWS_PER_CLOCK_CHECK
    skipped = RowArrays.all_missing(max(0, len(rows.is_known) - n_done))
    return pd.concat([*parts, predict_rows(predictor, skipped, n_reasons)], ignore_index=True)


def predict_rows(predictor: "Predictor", rows: RowArrays, n_reasons: int) -> pd.DataFrame:
    """Predict rows as columns of PREDICTION, in order; unknown rows stay null."""
    known = rows.is_known
    # None and not NaN, which Arrow would read as a number in place of a list.
    nulls = dict.fromkeys(PREDICTION.names, [None] * len(known))
    frame = pd.DataFrame(nulls, dtype=object)
    if known.any():
        predictions = predictor.predict(rows.token_ids, rows.n_tokens, rows.numeric)
        for name, values in _prediction_columns(predictions, n_reasons).items():
            column = pd.Series(list(values), index=frame.index[known], dtype=object)
            frame.loc[known, name] = column
    return frame


def _prediction_columns(predictions: "Predictions", n_reasons: int) -> dict[str, np.ndarray]:
    n = len(predictions.vectors)
    task_effects = predictions.effects.values()
    strongest = [
        np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :n_reasons]
        for effects in task_effects
    ]
    pairs = zip(task_effects, strongest, strict=True)
    return {
        "vector": predictions.vectors,
        "outputs": np.hstack([output.reshape(n, -1) for output in predictions.outputs.values()]),
        "reason_events": np.hstack(strongest).astype(np.int32),
        "reason_effects": np.hstack([np.take_along_axis(e, top, 1) for e, top in pairs]),
    }
