"""Refresh a table of users bucket by bucket, and store each bucket's refresh state."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row

from profile_lib.delta.merge import add_deletions
from profile_lib.delta.store import Store
from profile_lib.profiles.refresh_state import (
    RefreshState,
    find_buckets_to_rebuild,
    group_outdated_buckets,
    merge_refresh_states,
    select_users_in_buckets,
)
from profile_lib.progress import Progress
from profile_lib.tables import Table

log = logging.getLogger(__name__)


class BucketRefresher(ABC):
    """A refresh of the rows of `table` from their source tables.

    `state_table` holds one row per bucket of users: the definition and the source versions that
    the bucket's rows were computed from, then `extra_values`. The current ones are `definition` and
    `versions`. A bucket with another definition is rebuilt; in the others only the rows of changed
    users are computed. `n_users` counts the users computed so far.
    """

    def __init__(
        self,
        store: Store,
        table: Table,
        state_table: Table,
        *,
        definition: str,
        versions: tuple[int, ...],
        n_buckets: int,
        buckets_per_chunk: int,
        extra_values: tuple[str, ...] = (),
    ) -> None:
        self.store, self.table, self.state_table = store, table, state_table
        self.definition, self.versions, self.extra_values = definition, versions, extra_values
        self.n_buckets, self.buckets_per_chunk = n_buckets, buckets_per_chunk
        self.state_rows = self._read_state_rows()
        self.refresh_states = self._parse_states(self.state_rows)
        self.n_users = 0

    @abstractmethod
    def select_source_users(self) -> DataFrame:
        """Return (user_id) of all users in the source tables; users may repeat."""

    @abstractmethod
    def find_changed_users(self, since: tuple[int, ...]) -> DataFrame | None:
        """Return (user_id) of the users whose input changed since the versions; users may repeat.

        Returns None if a change feed no longer reaches back to its version.
        """

    @abstractmethod
    def compute(self, users: DataFrame, buckets: Sequence[int] | None = None) -> None:
        """Compute and write the rows of distinct users, and add them to `n_users`.

        Rows that these users no longer have are deleted. With `buckets`, all users are in these, so
        that no other part of the sources has to be read.
        """

    def catch_up(self) -> None:
        """Compute the missing and the outdated rows of each bucket, and store its state.

        Buckets are rebuilt in chunks, so that an interrupted run continues with the remaining ones.
        """
        to_rebuild = find_buckets_to_rebuild(self.refresh_states, self.definition, self.n_buckets)
        outdated = group_outdated_buckets(
            self.refresh_states, self.find_buckets_to_update(), self.versions
        )
        for versions, buckets in outdated.items():
            changed = self.find_changed_users(versions)
            if changed is None:
                to_rebuild += buckets
                continue
            self.compute(select_users_in_buckets(changed, buckets, self.n_buckets), buckets)
            self.write_states(buckets)
        progress = Progress(log, "buckets", len(to_rebuild))
        for first in range(0, len(to_rebuild), self.buckets_per_chunk):
            chunk = to_rebuild[first : first + self.buckets_per_chunk]
            stored = self.store.read_or_empty(self.table)
            users = self.select_source_users().union(stored.select("user_id"))
            self.compute(select_users_in_buckets(users, chunk, self.n_buckets), chunk)
            self.write_states(chunk)
            progress.advance(len(chunk))

    def find_buckets_to_update(self) -> list[int]:
        """Return the buckets whose stored rows have the current definition."""
        to_rebuild = find_buckets_to_rebuild(self.refresh_states, self.definition, self.n_buckets)
        return sorted(set(range(self.n_buckets)) - set(to_rebuild))

    def write_states(self, buckets: Sequence[int]) -> None:
        """Store that these buckets have the current definition and source versions."""
        written = dict.fromkeys(buckets, RefreshState(self.definition, self.versions))
        stored = self._parse_states(self._read_state_rows())
        self.refresh_states = merge_refresh_states(
            self.refresh_states, stored, written, self.n_buckets
        )
        rows = [
            (bucket, state.definition, *state.versions, *self.extra_values)
            for bucket, state in sorted(self.refresh_states.items())
        ]
        replace_state_rows(self.store, self.state_table, rows)

    def _read_state_rows(self) -> list[Row]:
        return self.store.read_or_empty(self.state_table).collect()  # one row per bucket

    def _parse_states(self, rows: Sequence[Row]) -> dict[int, RefreshState]:
        n = len(self.versions)
        return {
            bucket: RefreshState(definition, tuple(values[:n]))
            for bucket, definition, *values in rows
        }


def replace_state_rows(
    store: Store, state_table: Table, rows: Sequence[tuple[object, ...]]
) -> None:
    """Replace all refresh states, which for few rows is faster than a MERGE."""
    frame = store.spark.createDataFrame(list(rows), state_table.schema)
    store.replace(state_table, frame.coalesce(1))


def upsert_rows_of_users(
    store: Store,
    table: Table,
    users: DataFrame,
    rows: DataFrame,
    present: DataFrame,
    versions: Mapping[str, Column],
    guard: str,
) -> None:
    """Upsert the `rows` of `users`, and delete their stored rows whose keys are not `present`.

    `present` has the key and partition columns of `rows`. `guard` is the condition on source and
    target rows under which a stored row is replaced or deleted. It compares the columns `versions`,
    which deletions get as well.
    """
    keys = present.columns
    stored = store.read_or_empty(table).join(users, "user_id", "left_semi")
    deleted = stored.select(*keys).join(present, keys, "left_anti").withColumns(dict(versions))
    store.upsert(table, add_deletions(table, rows, deleted), guard=guard)
