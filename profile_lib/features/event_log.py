"""Known events in Arrow in, the same in order with what only their neighbours tell out."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import (
    Flags,
    GroupedRows,
    Longs,
    Numbers,
    dictionary_codes,
    differs_from_previous,
    is_not_null,
    sort_by_group_and_time,
)
from profile_lib.session_rule import session_starts
from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.features import WINDOWS

TIMESTAMP_TYPE = pa.timestamp("us", "UTC")
DAY_MICROS = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class EventLog:
    """All that is known at some pairs of user and cutoff, by pair, time and event_id.

    `rows` are events as `project_events` makes them, `pairs` says of which pair each is; `query_words` are the
    words of their queries, `query_word_pairs` the pair of each. Moments are in microseconds. A session
    begins with an event that comes more than `gap` after the one before it; the last is under way.
    """

    rows: pa.RecordBatch
    pairs: GroupedRows
    gap: int
    query_words: pa.RecordBatch
    query_word_pairs: Longs

    def key_columns(self) -> dict[str, pa.Array]:
        """user_id and cutoff_ts of each pair."""
        users = self["user_id"].take(pa.array(self.pairs.start_rows))
        return {"user_id": users, "cutoff_ts": pa.array(self.cutoff_micros).cast(TIMESTAMP_TYPE)}

    def __getitem__(self, name: str) -> pa.Array:
        return self.rows[name]

    def numbers_or_zero(self, name: str) -> Numbers:
        """A column of numbers, 0 where it is null."""
        return self[name].fill_null(0).to_numpy(zero_copy_only=False)

    def has(self, name: str) -> Flags:
        """True where a column is not null."""
        return is_not_null(self[name])

    def is_kind(self, *kinds: str) -> Flags:
        """True for events of these kinds."""
        return np.isin(self.kind, [EVENT_TYPES.index(kind) for kind in kinds])

    def broadcast_to_rows(self, pair_values: Numbers) -> Numbers:
        """One value a pair, laid beside each of its rows."""
        return pair_values[self.pairs.group_ids]

    @cached_property
    def micros(self) -> Longs:
        """When each event was."""
        return self.numbers_or_zero("micros")

    @cached_property
    def kind(self) -> Longs:
        """The place of each event's kind in EVENT_TYPES."""
        return self.numbers_or_zero("kind").astype(np.int64)

    @cached_property
    def cutoff_micros(self) -> Longs:
        """The cutoff of each pair."""
        return self.numbers_or_zero("cutoff")[self.pairs.start_rows]

    @cached_property
    def last_micros(self) -> Longs:
        """The last moment of each pair."""
        return self.micros[self.pairs.end_rows - 1]

    @cached_property
    def session_starts(self) -> Flags:
        """True for events that begin a session."""
        return session_starts(self.micros, differs_from_previous(self.pairs.group_ids), self.gap)

    @cached_property
    def session_start_micros(self) -> Longs:
        """When the session under way began, of each pair."""
        return self.micros[self.pairs.last_true(self.session_starts)]

    @cached_property
    def in_window(self) -> dict[str, Flags]:
        """True for the events in each of WINDOWS."""
        since = {
            window: self.session_start_micros
            if days is None
            else self.cutoff_micros - days * DAY_MICROS
            for window, days in WINDOWS.items()
        }
        return {
            window: self.micros >= self.broadcast_to_rows(start) for window, start in since.items()
        }


def build_event_log(rows: pa.RecordBatch, gap: int) -> EventLog:
    """The log of whole pairs, whose events and words of queries may come in any order.

    Raises ValueError where two pairs share a pair_key, which 64 bits all but rule out.
    """
    is_word = is_not_null(rows["query_word"])
    events, query_words = (
        _in_order(pc.filter(rows, pa.array(is_so))) for is_so in (~is_word, is_word)
    )
    key = events["pair_key"].to_numpy()
    is_new = differs_from_previous(key)
    pairs = GroupedRows(np.cumsum(is_new) - 1, int(is_new.sum()))
    query_word_pairs = np.searchsorted(key[pairs.start_rows], query_words["pair_key"].to_numpy())
    log = EventLog(events, pairs, gap, query_words, query_word_pairs)
    users, _ = dictionary_codes(log["user_id"])
    for told in (users, log.numbers_or_zero("cutoff")):
        if (told != log.broadcast_to_rows(told[pairs.start_rows])).any():
            raise ValueError("join_events_as_of: two pairs of user and cutoff share a pair_key")
    return log


def _in_order(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows by pair, time and event_id."""
    key, micros = rows["pair_key"].to_numpy(), rows["micros"].to_numpy()
    return pc.take(rows, pa.array(sort_by_group_and_time(key, micros, rows["event_id"])))
