"""Profiles in, users as a recommender is asked for them out: Arrow batches, then arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.recommend.histories import PURCHASE, Histories, merged
from profile_lib.recommend.sources import NOTHING, Asked
from profile_lib.segments import Floats, Longs, ranks

# What a ranker reads of a profile as it is.
NUMBERS = (
    "n_sessions", "n_orders", "order_value", "price_level", "purchasing_power", "sentiment",
)  # fmt: skip
# What a recommender may know items' demand by → the column of a profile that tells of it.
CONTEXTS = {"channel": "channels", "device": "devices", "region": "regions"}
READ = (
    "recent", "interest_vector", "model_version", *NUMBERS, *CONTEXTS.values(), "as_of_ts",
)  # fmt: skip
ACT = pa.struct(
    [
        ("event_ts", pa.timestamp("us", "UTC")),
        ("event_type", pa.string()),
        ("item_id", pa.string()),
        ("text", pa.string()),
    ]
)
COUNTS = pa.map_(pa.string(), pa.int64())
SCHEMA = pa.schema(  # of READ
    [
        ("recent", pa.list_(ACT)),
        ("interest_vector", pa.list_(pa.float32())),
        ("model_version", pa.string()),
        *[(name, pa.float64()) for name in NUMBERS],
        *[(name, COUNTS) for name in CONTEXTS.values()],
        ("as_of_ts", pa.timestamp("us", "UTC")),
    ]
)
COUNTED = pa.list_(pa.struct([("key", pa.string()), ("value", pa.int64())]))


@dataclass(frozen=True)
class Texts:
    """Texts that items are shown under, a search or a listing: `known`, and their vectors, (n, d).

    Of a user it is that of the newest event of these `kinds`, where it lies at most `gap` seconds
    before the newest of all: who has gone on to something else is not asked for by it any more.
    """

    known: pa.Array
    vectors: Floats
    kinds: Sequence[str]
    gap: float

    @cached_property
    def _places(self) -> pd.Index:
        return as_index(self.known)

    def of(self, texts: pa.Array) -> Floats:
        """(n, d): the vectors of texts, NaN where one isn't known."""
        at = self._places.get_indexer(as_index(texts))
        out = np.full((len(at), self.vectors.shape[1]), np.nan, np.float32)
        out[at >= 0] = self.vectors[at[at >= 0]]
        return out


@dataclass(frozen=True)
class Reader:
    """What turns profiles into arrays: the `items` by their numbers, what events of a kind say
    (`weights`), the values known of each of the `contexts`, the model whose interest vectors count
    and their size, and the `texts` that items are shown under."""

    items: pa.Array
    weights: Mapping[str, float]
    contexts: Mapping[str, Sequence[str]]
    model_version: str
    interest: int
    texts: Texts

    def numbers_of(self, item_ids: pa.Array) -> Longs:
        """(n,): the numbers of items, NOTHING where one isn't known."""
        return self._places.get_indexer(as_index(item_ids)).astype(np.int64)

    @cached_property
    def _places(self) -> pd.Index:
        """Looked up anew for each user, a hundred thousand items would take milliseconds."""
        return as_index(self.items)

    def asked(self, batch: pa.RecordBatch) -> Asked:
        """The rows of a batch with the columns READ, in its order.

        Interest vectors of another model than `model_version` lie elsewhere: they count as unknown.
        """
        recent = batch["recent"]
        acts, of = recent.flatten(), recent.value_parent_indices().to_numpy().astype(np.int64)
        second = _seconds(acts.field("event_ts"))
        numbers = [
            batch[name].cast(pa.float32()).fill_null(np.nan).to_numpy(zero_copy_only=False)
            for name in NUMBERS
        ]
        return Asked(
            self._histories(len(recent), of, acts, second),
            self._vectors(batch),
            np.stack(numbers, axis=1),
            self._joining(len(recent), of, acts, second),
            self._contexts(batch),
            _seconds(batch["as_of_ts"]),
        )

    def _histories(self, n: int, of: Longs, acts: pa.StructArray, second: Longs) -> Histories:
        item = self.numbers_of(acts.field("item_id"))
        kind = position_in(acts.field("event_type"), pa.array(list(self.weights), pa.string()))
        oldest_first = np.lexsort((-np.arange(len(of)), of))
        chosen = oldest_first[((item >= 0) & (kind >= 0))[oldest_first]]
        is_bought = pc.equal(acts.field("event_type"), PURCHASE).to_numpy(zero_copy_only=False)
        weights = np.array(list(self.weights.values()), np.float32)
        return merged(
            n,
            of[chosen],
            item[chosen],
            weights[kind[chosen]],
            second[chosen],
            is_bought[chosen].astype(bool),
        )

    def _vectors(self, batch: pa.RecordBatch) -> Floats:
        lists = batch["interest_vector"]
        size = pc.list_value_length(lists).fill_null(0).to_numpy()
        is_known = (size == self.interest) & _is_equal(batch["model_version"], self.model_version)
        out = np.full((len(lists), self.interest), np.nan, np.float32)
        known = lists.filter(pa.array(is_known)).flatten().to_numpy(zero_copy_only=False)
        out[is_known] = known.reshape(-1, self.interest)
        return out

    def _joining(self, n: int, of: Longs, acts: pa.StructArray, second: Longs) -> Floats:
        newest = np.zeros(n, np.int64)
        np.maximum.at(newest, of, second)
        kind = position_in(acts.field("event_type"), pa.array(list(self.texts.kinds), pa.string()))
        is_one = (kind >= 0) & (second >= newest[of] - self.texts.gap)
        is_one &= acts.field("text").is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(is_one)
        users, first = np.unique(of[rows], return_index=True)  # newest first, as they come
        out = np.full((n, self.texts.vectors.shape[1]), np.nan, np.float32)
        out[users] = self.texts.of(acts.field("text").take(pa.array(rows[first])))
        return out

    def _contexts(self, batch: pa.RecordBatch) -> Longs:
        values = [
            position_in(most_frequent(batch[CONTEXTS[name]]), pa.array(known, pa.string()))
            for name, known in self.contexts.items()
        ]
        return np.stack(values, axis=1) if values else np.zeros((batch.num_rows, 0), np.int64)


def most_frequent(counts: pa.MapArray) -> pa.Array:
    """The key of the greatest value of each map, of equal ones the last by name; null of none."""
    lists = counts.cast(COUNTED)
    pairs, of = lists.flatten(), lists.value_parent_indices().to_numpy().astype(np.int64)
    key = pairs.field(0)
    order = np.lexsort((ranks(key), pairs.field(1).to_numpy(), of))
    rows, end = np.unique(of[order][::-1], return_index=True)
    place = np.full(len(lists), NOTHING, np.int64)
    place[rows] = order[::-1][end]
    return key.take(pa.array(place, mask=place == NOTHING))


def as_index(texts: pa.Array) -> pd.Index:
    """Where texts are looked up again and again, None where there is none."""
    return pd.Index(texts.to_numpy(zero_copy_only=False))


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


def _seconds(moments: pa.TimestampArray) -> Longs:
    micros = moments.cast(pa.timestamp("us", moments.type.tz)).cast(pa.int64())
    return micros.to_numpy(zero_copy_only=False).astype(np.int64) // 1_000_000


def _is_equal(values: pa.Array, value: str) -> np.ndarray:
    equal = pc.equal(values, value).fill_null(False)
    return equal.to_numpy(zero_copy_only=False)
