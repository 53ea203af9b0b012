"""Profiles or examples and histories in, users as a recommender is asked for them out."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.positions import position
from profile_lib.recommend.histories import Histories
from profile_lib.recommend.sources import Asked
from profile_lib.segments import Floats

# What a ranker reads of a profile as it is.
NUMBERS = (
    "n_sessions", "n_orders", "order_value", "price_level", "purchasing_power", "sentiment",
)  # fmt: skip
LISTS = {
    "items": "array<int>",
    "weights": "array<float>",
    "seconds": "array<long>",
    "is_bought": "array<boolean>",
}
COLUMNS = LISTS | {
    "vector": "array<float>",
    "numbers": "array<float>",
    "joining": "array<float>",
    "contexts": "array<int>",
    "now": "long",
}


def askings(
    told: DataFrame, histories: DataFrame, on: Sequence[str], contexts: Mapping[str, Sequence[str]]
) -> DataFrame:
    """`on` and COLUMNS of each row of `told`, which has `on`, NUMBERS, `interest_vector`,
    `joining`, `now_ts` and, of each context, the value that holds.

    `contexts`: the values that are known of each. What isn't known of a row is null, or an empty
    list.
    """
    numbers = [F.coalesce(F.col(n).cast("float"), F.lit(math.nan)) for n in NUMBERS]
    columns = {name: F.coalesce(F.col(name), F.array().cast(kind)) for name, kind in LISTS.items()}
    columns |= {
        "vector": F.when(F.size("interest_vector") > 0, F.col("interest_vector")),
        "numbers": F.array(*numbers),
        "joining": F.col("joining"),
        "contexts": F.array(*[position(F.col(c), values) for c, values in contexts.items()]),
        "now": F.unix_seconds("now_ts"),
    }
    selected = [columns[name].cast(kind).alias(name) for name, kind in COLUMNS.items()]
    return told.join(histories, list(on), "left").select(*on, *selected)


def most_frequent(counts: Column) -> Column:
    """The key of the greatest value of a map, of equal ones the last by name; null of none."""
    pairs = F.transform(
        F.map_entries(counts), lambda e: F.struct(e["value"].alias("n"), e["key"].alias("name"))
    )
    return F.array_max(pairs)["name"]


def asked_of(batch: pa.RecordBatch, *, interest: int, joining: int) -> Asked:
    """The rows of an Arrow batch of COLUMNS, in its order, with vectors of these sizes."""
    n = batch.num_rows
    contexts = batch["contexts"].flatten().to_numpy().astype(np.int64)
    return Asked(
        Histories.of_batch(batch),
        as_rows(batch["vector"], interest),
        as_rows(batch["numbers"], len(NUMBERS)),
        as_rows(batch["joining"], joining),
        contexts.reshape(n, len(contexts) // max(n, 1)),
        batch["now"].to_numpy(),
    )


def as_rows(lists: pa.ListArray, size: int) -> Floats:
    """(n, size) float32 of lists of that size; NaN where one is null.

    Raises ValueError where they are of another size.
    """
    out = np.full((len(lists), size), np.nan, np.float32)
    known = lists.is_valid().to_numpy(zero_copy_only=False)
    out[known] = lists.flatten().to_numpy().reshape(int(known.sum()), size)
    return out
