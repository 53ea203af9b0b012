"""Read profiles, in Arrow batches, as requests for items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.arrow_columns import (
    find_positions,
    is_equal,
    most_frequent_keys,
    to_index,
    to_seconds,
)
from profile_lib.recommend.data.histories import PURCHASE, Histories, merge_repeated_steps
from profile_lib.recommend.data.profile_columns import CONTEXT_COLUMNS, PROFILE_NUMBERS
from profile_lib.recommend.data.requests import Requests


@dataclass(frozen=True)
class QueryTexts:
    """The known texts of searches and pages, (n,), with their vectors, (n, d).

    A user's query is the text of the newest event of these `event_types`, if it is at most
    `max_gap_seconds` older than the user's newest event: after that the user has moved on.
    """

    texts: pa.Array
    vectors: Floats
    event_types: Sequence[str]
    max_gap_seconds: float

    @cached_property
    def _index(self) -> pd.Index:
        return to_index(self.texts)

    def look_up(self, texts: pa.Array) -> Floats:
        """Return the vectors of m texts, (m, d), NaN for unknown ones."""
        position = self._index.get_indexer(to_index(texts))
        vectors = np.full((len(position), self.vectors.shape[1]), np.nan, np.float32)
        vectors[position >= 0] = self.vectors[position[position >= 0]]
        return vectors


class _Events(NamedTuple):
    """The recent events of a batch of profiles, each user's newest first."""

    user: Longs
    fields: pa.StructArray
    second: Longs

    def type_number(self, event_types: Sequence[str]) -> Longs:
        """Return the position of each event's type among these, or MISSING."""
        known = pa.array(list(event_types), pa.string())
        return find_positions(self.fields.field("event_type"), known)


@dataclass(frozen=True)
class ProfileReader:
    """A reader that converts profiles to requests.

    `items`: item ids in the order of the item numbers. `weights`: how strongly an event of each
    type counts as interest in its item. `contexts`: the known values of each context. `texts`: the
    known query texts. Interest vectors are read only if they are of `model_version` and have
    `interest_size` numbers.
    """

    items: pa.Array
    weights: Mapping[str, float]
    contexts: Mapping[str, Sequence[str]]
    model_version: str
    interest_size: int
    texts: QueryTexts

    def look_up_items(self, item_ids: pa.Array) -> Longs:
        """Return the numbers of items, (n,); MISSING for an unknown one."""
        return self._item_index.get_indexer(to_index(item_ids)).astype(np.int64)

    @cached_property
    def _item_index(self) -> pd.Index:
        """The index of `items`, built once: building it takes longer than a user's look-ups."""
        return to_index(self.items)

    def read_requests(self, batch: pa.RecordBatch) -> Requests:
        """Return the requests of n profiles, a batch with the columns REQUEST_COLUMNS.

        Interest vectors of another model cannot be compared, so they count as unknown.
        """
        recent = batch["recent"]
        fields, user = recent.flatten(), recent.value_parent_indices().to_numpy().astype(np.int64)
        events = _Events(user, fields, to_seconds(fields.field("event_ts")))
        numbers = [
            batch[name].cast(pa.float32()).fill_null(np.nan).to_numpy(zero_copy_only=False)
            for name in PROFILE_NUMBERS
        ]
        return Requests(
            self._histories(len(recent), events),
            self._interest_vectors(batch),
            np.stack(numbers, axis=1),
            self._query_vectors(len(recent), events),
            self._contexts(batch),
            to_seconds(batch["as_of_ts"]),
        )

    def _histories(self, n_users: int, events: _Events) -> Histories:
        item = self.look_up_items(events.fields.field("item_id"))
        event_type = events.type_number(list(self.weights))
        oldest_first = np.lexsort((-np.arange(len(events.user)), events.user))
        chosen = oldest_first[((item >= 0) & (event_type >= 0))[oldest_first]]
        is_bought = is_equal(events.fields.field("event_type"), PURCHASE)
        weights = np.array(list(self.weights.values()), np.float32)
        return merge_repeated_steps(
            n_users,
            events.user[chosen],
            item[chosen],
            weights[event_type[chosen]],
            events.second[chosen],
            is_bought[chosen],
        )

    def _interest_vectors(self, batch: pa.RecordBatch) -> Floats:
        lists = batch["interest_vector"]
        size = pc.list_value_length(lists).fill_null(0).to_numpy()
        is_known = size == self.interest_size
        is_known &= is_equal(batch["model_version"], self.model_version)
        vectors = np.full((len(lists), self.interest_size), np.nan, np.float32)
        known = lists.filter(pa.array(is_known)).flatten().to_numpy(zero_copy_only=False)
        vectors[is_known] = known.reshape(-1, self.interest_size)
        return vectors

    def _query_vectors(self, n_users: int, events: _Events) -> Floats:
        newest = np.zeros(n_users, np.int64)
        np.maximum.at(newest, events.user, events.second)
        is_query = events.type_number(self.texts.event_types) >= 0
        is_query &= events.second >= newest[events.user] - self.texts.max_gap_seconds
        is_query &= events.fields.field("text").is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(is_query)
        users, first = np.unique(events.user[rows], return_index=True)  # the newest comes first
        vectors = np.full((n_users, self.texts.vectors.shape[1]), np.nan, np.float32)
        texts = events.fields.field("text").take(pa.array(rows[first]))
        vectors[users] = self.texts.look_up(texts)
        return vectors

    def _contexts(self, batch: pa.RecordBatch) -> Longs:
        values = [
            find_positions(
                most_frequent_keys(batch[CONTEXT_COLUMNS[name]]), pa.array(known, pa.string())
            )
            for name, known in self.contexts.items()
        ]
        return np.stack(values, axis=1) if values else np.zeros((batch.num_rows, 0), np.int64)
