"""Profiles, or examples, in; users as a recommender is asked for them out: frames, then arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.recommend.histories import PURCHASE, Histories, merged
from profile_lib.recommend.sources import NOTHING, Asked
from profile_lib.segments import Floats, Longs

# What a ranker reads of a profile as it is.
NUMBERS = (
    "n_sessions", "n_orders", "order_value", "price_level", "purchasing_power", "sentiment",
)  # fmt: skip
READ = ("recent", "vector", "numbers", "places", "joining", "now")


def to_ask(told: DataFrame, on: Sequence[str], contexts: Sequence[str]) -> DataFrame:
    """The columns `on` and READ of rows that hold `recent`, `interest_vector`, NUMBERS, `joining`,
    `now_ts` and, of each of the contexts, the value that holds for the row."""
    acts = F.transform("recent", lambda e: F.struct(e["event_ts"], e["event_type"], e["item_id"]))
    numbers = [F.coalesce(F.col(n).cast("float"), F.lit(math.nan)) for n in NUMBERS]
    columns = (
        F.filter(acts, lambda e: e["item_id"].isNotNull()),
        F.when(F.size("interest_vector") > 0, F.col("interest_vector")),
        F.array(*numbers),
        F.array(*contexts).cast("array<string>"),
        F.col("joining").cast("array<float>"),
        F.unix_seconds("now_ts"),
    )
    named = [column.alias(name) for name, column in zip(READ, columns, strict=True)]
    return told.select(*on, *named)


def most_frequent(counts: Column) -> Column:
    """The key of the greatest value of a map, of equal ones the last by name; null of none."""
    pairs = F.transform(
        F.map_entries(counts), lambda e: F.struct(e["value"].alias("n"), e["key"].alias("name"))
    )
    return F.array_max(pairs)["name"]


@dataclass(frozen=True)
class Reader:
    """What turns Arrow batches of READ into arrays: the `items` by their numbers, what events of a
    kind say (`weights`), the values known of each of the `contexts`, and the sizes of vectors."""

    items: pa.Array
    weights: Mapping[str, float]
    contexts: Sequence[Sequence[str]]
    interest: int
    joining: int

    def asked(self, batch: pa.RecordBatch) -> Asked:
        """The rows of a batch, in its order."""
        return Asked(
            self._histories(batch["recent"]),
            as_rows(batch["vector"], self.interest),
            as_rows(batch["numbers"], len(NUMBERS)),
            as_rows(batch["joining"], self.joining),
            self._contexts(batch),
            batch["now"].to_numpy(),
        )

    def _histories(self, recent: pa.ListArray) -> Histories:
        acts, of = recent.flatten(), recent.value_parent_indices().to_numpy()
        item = position_in(acts.field("item_id"), self.items)
        kind = position_in(acts.field("event_type"), pa.array(list(self.weights)))
        oldest_first = np.lexsort((-np.arange(len(of)), of))
        chosen = oldest_first[((item >= 0) & (kind >= 0))[oldest_first]]
        micros = acts.field("event_ts").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        is_bought = pc.equal(acts.field("event_type"), PURCHASE).to_numpy(zero_copy_only=False)
        weights = np.array(list(self.weights.values()), np.float32)
        return merged(
            len(recent),
            of[chosen],
            item[chosen],
            weights[kind[chosen]],
            micros.to_numpy()[chosen] // 1_000_000,
            is_bought[chosen],
        )

    def _contexts(self, batch: pa.RecordBatch) -> Longs:
        n, c = batch.num_rows, len(self.contexts)
        places = batch["places"].flatten()
        values = [
            position_in(places.take(pa.array(np.arange(n) * c + at)), pa.array(known, pa.string()))
            for at, known in enumerate(self.contexts)
        ]
        return np.stack(values, axis=1) if values else np.zeros((n, 0), np.int64)


def position_in(values: pa.Array, known: pa.Array) -> Longs:
    """(n,): where each value stands in `known`, NOTHING where it doesn't."""
    return pc.index_in(values, known).fill_null(NOTHING).to_numpy().astype(np.int64)


def as_rows(lists: pa.ListArray, size: int) -> Floats:
    """(n, size) float32 of lists of that size; NaN where one is null.

    Raises ValueError where they are of another size.
    """
    out = np.full((len(lists), size), np.nan, np.float32)
    known = lists.is_valid().to_numpy(zero_copy_only=False)
    out[known] = lists.flatten().to_numpy().reshape(int(known.sum()), size)
    return out
