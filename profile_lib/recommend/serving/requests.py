"""Profiles in, users as a recommender is asked for them out: Arrow batches, then arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import Floats, Longs, sort_ranks
from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.data.histories import PURCHASE, Histories, merge_repeated_steps

# What a ranker reads of a profile as it is.
PROFILE_NUMBERS = (
    "n_sessions", "n_orders", "order_value", "price_level", "purchasing_power", "sentiment",
)  # fmt: skip
# What a recommender may know items' demand by → the column of a profile that tells of it.
CONTEXT_COLUMNS = {"channel": "channels", "device": "devices", "region": "regions"}
REQUEST_COLUMNS = (
    "recent", "interest_vector", "model_version", *PROFILE_NUMBERS, *CONTEXT_COLUMNS.values(), "as_of_ts",
)  # fmt: skip
RECENT_EVENT = pa.struct(
    [
        ("event_ts", pa.timestamp("us", "UTC")),
        ("event_type", pa.string()),
        ("item_id", pa.string()),
        ("text", pa.string()),
    ]
)
COUNT_MAP = pa.map_(pa.string(), pa.int64())
REQUEST_SCHEMA = pa.schema(  # of REQUEST_COLUMNS
    [
        ("recent", pa.list_(RECENT_EVENT)),
        ("interest_vector", pa.list_(pa.float32())),
        ("model_version", pa.string()),
        *[(name, pa.float64()) for name in PROFILE_NUMBERS],
        *[(name, COUNT_MAP) for name in CONTEXT_COLUMNS.values()],
        ("as_of_ts", pa.timestamp("us", "UTC")),
    ]
)
COUNT_ENTRIES = pa.list_(pa.struct([("key", pa.string()), ("value", pa.int64())]))


@dataclass(frozen=True)
class QueryTexts:
    """QueryTexts that items are shown under, a search or a listing: `texts`, and their vectors, (n, d).

    Of a user it is that of the newest event of these `event_types`, where it lies at most `max_gap_seconds`
    before the newest of all: who has gone on to something else is not asked for by it any more.
    """

    texts: pa.Array
    vectors: Floats
    event_types: Sequence[str]
    max_gap_seconds: float

    @cached_property
    def _places(self) -> pd.Index:
        return to_index(self.texts)

    def look_up(self, texts: pa.Array) -> Floats:
        """(n, d): the vectors of texts, NaN where one isn't known."""
        at = self._places.get_indexer(to_index(texts))
        out = np.full((len(at), self.vectors.shape[1]), np.nan, np.float32)
        out[at >= 0] = self.vectors[at[at >= 0]]
        return out


@dataclass(frozen=True)
class ProfileReader:
    """What turns profiles into arrays: the `items` by their numbers, what events of a kind say
    (`weights`), the values known of each of the `contexts`, the model whose interest vectors count
    and their size, and the `texts` that items are shown under."""

    items: pa.Array
    weights: Mapping[str, float]
    contexts: Mapping[str, Sequence[str]]
    model_version: str
    interest_size: int
    texts: QueryTexts

    def look_up_items(self, item_ids: pa.Array) -> Longs:
        """(n,): the numbers of items, MISSING where one isn't known."""
        return self._places.get_indexer(to_index(item_ids)).astype(np.int64)

    @cached_property
    def _places(self) -> pd.Index:
        """Looked up anew for each user, a hundred thousand items would take milliseconds."""
        return to_index(self.items)

    def read_requests(self, batch: pa.RecordBatch) -> Requests:
        """The rows of a batch with the columns REQUEST_COLUMNS, in its order.

        Interest vectors of another model than `model_version` lie elsewhere: they count as unknown.
        """
        recent = batch["recent"]
        acts, of = recent.flatten(), recent.value_parent_indices().to_numpy().astype(np.int64)
        second = _seconds(acts.field("event_ts"))
        numbers = [
            batch[name].cast(pa.float32()).fill_null(np.nan).to_numpy(zero_copy_only=False)
            for name in PROFILE_NUMBERS
        ]
        return Requests(
            self._histories(len(recent), of, acts, second),
            self._interest_vectors(batch),
            np.stack(numbers, axis=1),
            self._query_vectors(len(recent), of, acts, second),
            self._contexts(batch),
            _seconds(batch["as_of_ts"]),
        )

    def _histories(self, n: int, of: Longs, acts: pa.StructArray, second: Longs) -> Histories:
        item = self.look_up_items(acts.field("item_id"))
        kind = find_positions(acts.field("event_type"), pa.array(list(self.weights), pa.string()))
        oldest_first = np.lexsort((-np.arange(len(of)), of))
        chosen = oldest_first[((item >= 0) & (kind >= 0))[oldest_first]]
        is_bought = pc.equal(acts.field("event_type"), PURCHASE).to_numpy(zero_copy_only=False)
        weights = np.array(list(self.weights.values()), np.float32)
        return merge_repeated_steps(
            n,
            of[chosen],
            item[chosen],
            weights[kind[chosen]],
            second[chosen],
            is_bought[chosen].astype(bool),
        )

    def _interest_vectors(self, batch: pa.RecordBatch) -> Floats:
        lists = batch["interest_vector"]
        size = pc.list_value_length(lists).fill_null(0).to_numpy()
        is_known = (size == self.interest_size) & _is_equal(
            batch["model_version"], self.model_version
        )
        out = np.full((len(lists), self.interest_size), np.nan, np.float32)
        known = lists.filter(pa.array(is_known)).flatten().to_numpy(zero_copy_only=False)
        out[is_known] = known.reshape(-1, self.interest_size)
        return out

    def _query_vectors(self, n: int, of: Longs, acts: pa.StructArray, second: Longs) -> Floats:
        newest = np.zeros(n, np.int64)
        np.maximum.at(newest, of, second)
        kind = find_positions(
            acts.field("event_type"), pa.array(list(self.texts.event_types), pa.string())
        )
        is_one = (kind >= 0) & (second >= newest[of] - self.texts.max_gap_seconds)
        is_one &= acts.field("text").is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(is_one)
        users, first = np.unique(of[rows], return_index=True)  # newest first, as they come
        out = np.full((n, self.texts.vectors.shape[1]), np.nan, np.float32)
        out[users] = self.texts.look_up(acts.field("text").take(pa.array(rows[first])))
        return out

    def _contexts(self, batch: pa.RecordBatch) -> Longs:
        values = [
            find_positions(
                most_frequent_keys(batch[CONTEXT_COLUMNS[name]]), pa.array(known, pa.string())
            )
            for name, known in self.contexts.items()
        ]
        return np.stack(values, axis=1) if values else np.zeros((batch.num_rows, 0), np.int64)


def most_frequent_keys(counts: pa.MapArray) -> pa.Array:
    """The key of the greatest value of each map, of equal ones the last by name; null of none."""
    lists = counts.cast(COUNT_ENTRIES)
    pairs, of = lists.flatten(), lists.value_parent_indices().to_numpy().astype(np.int64)
    key = pairs.field(0)
    order = np.lexsort((sort_ranks(key), pairs.field(1).to_numpy(), of))
    rows, end = np.unique(of[order][::-1], return_index=True)
    place = np.full(len(lists), MISSING, np.int64)
    place[rows] = order[::-1][end]
    return key.take(pa.array(place, mask=place == MISSING))


def to_index(texts: pa.Array) -> pd.Index:
    """Where texts are looked up again and again, None where there is none."""
    return pd.Index(texts.to_numpy(zero_copy_only=False))


def find_positions(values: pa.Array, known: pa.Array) -> Longs:
    """(n,): where each value stands in `known`, MISSING where it doesn't."""
    return pc.index_in(values, known).fill_null(MISSING).to_numpy().astype(np.int64)


def lists_to_matrix(lists: pa.ListArray, size: int) -> Floats:
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
