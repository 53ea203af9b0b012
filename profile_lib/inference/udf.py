"""Frames in, frames with a column `prediction` out: the predictor as an iterator pandas UDF."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.inference.predictor import Predictions, Predictor
from profile_lib.positions import with_codes

FLOATS = T.ArrayType(T.FloatType())
PREDICTION = T.StructType(
    [
        T.StructField("vector", FLOATS),
        T.StructField("answers", FLOATS),  # of all tasks in order, all classes of each
        T.StructField("reason_events", T.ArrayType(T.IntegerType())),  # n_reasons a task, from 0
        T.StructField("reason_effects", FLOATS),
    ]
)


def add_predictions(
    frame: DataFrame,
    folder: str,
    *,
    categories: Sequence[tuple[str, Sequence[str]]],
    model_version: str,
    batch_tokens: int,
    max_events: int,
    n_reasons: int,
) -> DataFrame:
    """`frame` with `prediction` of its `token_ids`, `n_tokens` and `numeric`; null where they are.

    Behind the numbers the model reads the positions of `categories`, columns of the frame each
    with the values that the model knows.
    Rows are brought together by text and sorted by length first, so that equal texts meet in one
    Arrow batch and are encoded once, and near lengths share a forward pass.
    """

    @F.pandas_udf(PREDICTION)  # type: ignore[call-overload]
    def predict(
        batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]],
    ) -> Iterator[pd.DataFrame]:
        predictor = _predictor(folder, model_version, batch_tokens, max_events)
        for token_ids, n_tokens, numeric in batches:
            yield predict_rows(predictor, token_ids, n_tokens, numeric, n_reasons)

    together = frame.repartition("text").sortWithinPartitions("n_tokens", "text")
    numeric = F.when(F.col("numeric").isNotNull(), with_codes(F.col("numeric"), categories))
    return together.withColumn("prediction", predict("token_ids", "n_tokens", numeric))


def predict_rows(
    predictor: Predictor,
    token_ids: pd.Series,
    n_tokens: pd.Series,
    numeric: pd.Series,
    n_reasons: int,
) -> pd.DataFrame:
    """One Arrow batch of rows predicted, in order; a row without tokens or numbers stays null."""
    out = pd.DataFrame(index=range(len(n_tokens)), columns=PREDICTION.names, dtype=object)
    known = (token_ids.notna() & n_tokens.notna() & numeric.notna()).to_numpy()
    if known.any():
        found = predictor.predict(
            np.stack(token_ids[known].to_list()).astype(np.int32),
            n_tokens[known].to_numpy(np.int64),
            np.stack(numeric[known].to_list()).astype(np.float32),
        )
        for name, values in _columns(found, n_reasons).items():
            out.loc[known, name] = pd.Series(list(values), index=out.index[known], dtype=object)
    return out


def _columns(found: Predictions, n_reasons: int) -> dict[str, np.ndarray]:
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
        "answers": np.hstack([answers.reshape(n, -1) for answers in found.answers.values()]),
        "reason_events": np.hstack(tops).astype(np.int32),
        "reason_effects": np.hstack(effects),
    }


@lru_cache(maxsize=1)
def _predictor(folder: str, model_version: str, batch_tokens: int, max_events: int) -> Predictor:
    """Loaded once a Python worker, which serves many tasks, and anew for another version."""
    return Predictor.load(folder, model_version, batch_tokens, max_events)
