"""Hold the events of pairs of user and cutoff as sorted arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import (
    NULL_SEQUENCE,
    GroupedRows,
    dictionary_codes,
    differs_from_previous,
    is_not_null,
    sort_by_group_and_time,
)
from profile_lib.arrays.types import Flags, Floats, Longs, Numbers
from profile_lib.features.interacted_items import InteractedItems, find_interacted_items
from profile_lib.features.older_counts import OlderCounts, read_older_counts
from profile_lib.session_rule import session_starts
from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.features import WINDOWS

TIMESTAMP_TYPE = pa.timestamp("us", "UTC")
DAY_MICROS = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class EventLog:
    """The history of each of some pairs of user and cutoff, in arrays.

    `rows` are the events that `project_histories` returns, sorted by pair and EVENT_ORDER, and
    `pairs` groups them by pair. `query_words` are the words of search queries, and
    `query_word_pairs` holds the pair number of each. `older` counts the events before them. Times
    are in microseconds. An event more than `gap_micros` after the one before it starts a session;
    the last session of a pair is its current one. Arrays have one entry per event, unless they say
    that they have one per pair.
    """

    rows: pa.RecordBatch
    pairs: GroupedRows
    gap_micros: int
    query_words: pa.RecordBatch
    query_word_pairs: Longs
    older: OlderCounts

    def pair_columns(self) -> dict[str, pa.Array]:
        """Return user_id, cutoff_ts and last_event_ts of each pair."""
        return {
            "user_id": self["user_id"].take(pa.array(self.pairs.start_rows)),
            "cutoff_ts": pa.array(self.cutoff_micros).cast(TIMESTAMP_TYPE),
            "last_event_ts": pa.array(self.last_micros).cast(TIMESTAMP_TYPE),
        }

    def __getitem__(self, name: str) -> pa.Array:
        """Return a column of the events."""
        return self.rows[name]

    def numbers_or_zero(self, name: str) -> Numbers:
        """Return a numeric column with 0 in place of null."""
        return self[name].fill_null(0).to_numpy(zero_copy_only=False)

    def has(self, name: str) -> Flags:
        """Return True for each event whose column is not null."""
        return is_not_null(self[name])

    def is_kind(self, *kinds: str) -> Flags:
        """Return True for each event of these kinds."""
        return np.isin(self.kind, [EVENT_TYPES.index(kind) for kind in kinds])

    def broadcast_to_rows(self, pair_values: Numbers) -> Numbers:
        """Repeat the value of each pair for all its events."""
        return pair_values[self.pairs.group_ids]

    def seconds_since_last(self, where: Flags) -> pa.Array:
        """Return the seconds from each pair's last event where `where` is true to its cutoff.

        It is null if there is no such event.
        """
        last = self.pairs.last_true(where)
        return pa.array(micros_to_seconds(self.cutoff_micros - self.micros[last]), mask=last < 0)

    @cached_property
    def micros(self) -> Longs:
        """The time of each event."""
        return self.numbers_or_zero("micros")

    @cached_property
    def local_micros(self) -> Longs:
        """The time of each event in the zone of its user, else of the shop."""
        return self.numbers_or_zero("local_micros")

    @cached_property
    def kind(self) -> Longs:
        """The index of each event's kind in EVENT_TYPES; -1 for an unknown one."""
        return self.numbers_or_zero("kind").astype(np.int64)

    @cached_property
    def step(self) -> Longs:
        """The index of each event's step in STEPS; -1 for another page or none."""
        return self.numbers_or_zero("step").astype(np.int64)

    @cached_property
    def cutoff_micros(self) -> Longs:
        """The cutoff of each pair."""
        return self.numbers_or_zero("cutoff")[self.pairs.start_rows]

    @cached_property
    def local_cutoff_micros(self) -> Longs:
        """The cutoff of each pair in the zone of its user, else of the shop.

        The user's zone is that of the last event that has one.
        """
        last = self.pairs.last_true(self["has_time_zone"].to_numpy(zero_copy_only=False))
        rows = np.where(last >= 0, last, self.pairs.start_rows)
        return self.numbers_or_zero("local_cutoff")[rows]

    @cached_property
    def first_micros(self) -> Longs:
        """The time of each pair's first event, however old."""
        return np.minimum(self.micros[self.pairs.start_rows], self.older.first_micros)

    @cached_property
    def last_micros(self) -> Longs:
        """The time of each pair's last event."""
        return self.micros[self.pairs.end_rows - 1]

    @cached_property
    def session_starts(self) -> Flags:
        """True for each event that starts a session."""
        return session_starts(
            self.micros, differs_from_previous(self.pairs.group_ids), self.gap_micros
        )

    @cached_property
    def session_start_micros(self) -> Longs:
        """The time at which each pair's current session started."""
        return self.micros[self.pairs.last_true(self.session_starts)]

    @cached_property
    def moments(self) -> Longs:
        """The number of each event's moment in order; equal if only ids order events."""
        sequence = self["sequence"].fill_null(NULL_SEQUENCE).to_numpy()
        return np.cumsum(differs_from_previous(self.pairs.group_ids, self.micros, sequence))

    @cached_property
    def is_after_last_purchase(self) -> Flags:
        """True for each event at a later moment than its pair's last purchase."""
        last_purchase = self.pairs.max(self.moments, self.is_kind("purchase"), -1)
        return self.moments > self.broadcast_to_rows(last_purchase)

    @cached_property
    def in_window(self) -> dict[str, Flags]:
        """By the name of a window in WINDOWS, True for each event in it."""
        starts = {
            window: self.session_start_micros
            if days is None
            else self.cutoff_micros - days * DAY_MICROS
            for window, days in WINDOWS.items()
        }
        return {
            window: self.micros >= self.broadcast_to_rows(start) for window, start in starts.items()
        }

    @cached_property
    def interacted_items(self) -> InteractedItems:
        """The distinct items of each pair's events."""
        return find_interacted_items(self)


def micros_to_seconds(micros: Longs) -> Floats:
    """Convert microseconds to seconds."""
    return micros / 1e6


def build_event_log(rows: pa.RecordBatch, gap_micros: int) -> EventLog:
    """Build the log of complete pairs from rows of `project_histories` in any order.

    Raises ValueError if two pairs share both keys, which is all but impossible with 128 bits.
    """
    pair = _number_pairs(rows)
    is_word, is_older = is_not_null(rows["query_word"]), is_not_null(rows["first_micros"])
    events, event_pairs = _sort_rows(rows, pair, ~(is_word | is_older))
    query_words, query_word_pairs = _sort_rows(rows, pair, is_word)
    pairs = GroupedRows(event_pairs, int(pair.max(initial=-1)) + 1)
    older_rows = pc.filter(rows, pa.array(is_older))
    older = read_older_counts(older_rows, pair[is_older], pairs.n_groups)
    log = EventLog(events, pairs, gap_micros, query_words, query_word_pairs, older)
    users, _ = dictionary_codes(log["user_id"])
    for values in (users, log.numbers_or_zero("cutoff")):
        if (values != log.broadcast_to_rows(values[pairs.start_rows])).any():
            raise ValueError("project_histories: two pairs of user and cutoff share their keys")
    return log


def _number_pairs(rows: pa.RecordBatch) -> Longs:
    """Return the number of each row's pair, from 0 in the order of their keys."""
    first, second = rows["pair_key"].to_numpy(), rows["second_pair_key"].to_numpy()
    order = np.lexsort((second, first))
    number = np.empty_like(order)
    number[order] = np.cumsum(differs_from_previous(first[order], second[order])) - 1
    return number


def _sort_rows(rows: pa.RecordBatch, pair: Longs, where: Flags) -> tuple[pa.RecordBatch, Longs]:
    """Select rows, sort them by pair and EVENT_ORDER, and return their pairs as well."""
    selected, pair = pc.filter(rows, pa.array(where)), pair[where]
    order = sort_by_group_and_time(
        pair, selected["micros"].to_numpy(), selected["sequence"], selected["event_id"]
    )
    return pc.take(selected, pa.array(order)), pair[order]
