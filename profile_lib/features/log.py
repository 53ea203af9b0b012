"""Known events in Arrow in, the same in order with what only their neighbours tell out."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.segments import (
    Flags,
    Longs,
    Numbers,
    Segments,
    changes,
    codes_of,
    in_order,
    is_known,
    starts_session,
)
from profile_lib.tables import EVENT_TYPES, WINDOWS

MOMENT = pa.timestamp("us", "UTC")
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Log:
    """All that is known at some pairs of user and cutoff, by pair, time and event_id.

    `rows` are events as `told` makes them, `pairs` says of which pair each is; `asked` are the
    words of their queries, `asked_by` the pair of each. Moments are in microseconds. A session
    begins with an event that comes more than `gap` after the one before it; the last is under way.
    """

    rows: pa.RecordBatch
    pairs: Segments
    gap: int
    asked: pa.RecordBatch
    asked_by: Longs

    def identity(self) -> dict[str, pa.Array]:
        """user_id and cutoff_ts of each pair."""
        users = self["user_id"].take(pa.array(self.pairs.first))
        return {"user_id": users, "cutoff_ts": pa.array(self.cutoff).cast(MOMENT)}

    def __getitem__(self, name: str) -> pa.Array:
        return self.rows[name]

    def number(self, name: str) -> Numbers:
        """A column of numbers, 0 where it is null."""
        return self[name].fill_null(0).to_numpy(zero_copy_only=False)

    def has(self, name: str) -> Flags:
        """True where a column is not null."""
        return is_known(self[name])

    def is_kind(self, *kinds: str) -> Flags:
        """True for events of these kinds."""
        return np.isin(self.kind, [EVENT_TYPES.index(kind) for kind in kinds])

    def beside(self, of_pairs: Numbers) -> Numbers:
        """One value a pair, laid beside each of its rows."""
        return of_pairs[self.pairs.of]

    @cached_property
    def micros(self) -> Longs:
        """When each event was."""
        return self.number("micros")

    @cached_property
    def kind(self) -> Longs:
        """The place of each event's kind in EVENT_TYPES."""
        return self.number("kind").astype(np.int64)

    @cached_property
    def cutoff(self) -> Longs:
        """The cutoff of each pair."""
        return self.number("cutoff")[self.pairs.first]

    @cached_property
    def last(self) -> Longs:
        """The last moment of each pair."""
        return self.micros[self.pairs.end - 1]

    @cached_property
    def starts(self) -> Flags:
        """True for events that begin a session."""
        return starts_session(self.micros, changes(self.pairs.of), self.gap)

    @cached_property
    def session_start(self) -> Longs:
        """When the session under way began, of each pair."""
        return self.micros[self.pairs.last_where(self.starts)]

    @cached_property
    def within(self) -> dict[str, Flags]:
        """True for the events in each of WINDOWS."""
        since = {
            window: self.session_start if days is None else self.cutoff - days * DAY
            for window, days in WINDOWS.items()
        }
        return {window: self.micros >= self.beside(start) for window, start in since.items()}


def in_log(rows: pa.RecordBatch, gap: int) -> Log:
    """The log of whole pairs, whose events and words of queries may come in any order.

    Raises ValueError where two pairs share a pair_key, which 64 bits all but rule out.
    """
    is_word = is_known(rows["asked"])
    events, asked = (_in_order(pc.filter(rows, pa.array(is_so))) for is_so in (~is_word, is_word))
    key = events["pair_key"].to_numpy()
    is_new = changes(key)
    pairs = Segments(np.cumsum(is_new) - 1, int(is_new.sum()))
    asked_by = np.searchsorted(key[pairs.first], asked["pair_key"].to_numpy())
    log = Log(events, pairs, gap, asked, asked_by)
    users, _ = codes_of(log["user_id"])
    for told in (users, log.number("cutoff")):
        if (told != log.beside(told[pairs.first])).any():
            raise ValueError("known_events: two pairs of user and cutoff share a pair_key")
    return log


def _in_order(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows by pair, time and event_id."""
    key, micros = rows["pair_key"].to_numpy(), rows["micros"].to_numpy()
    return pc.take(rows, pa.array(in_order(key, micros, rows["event_id"])))
