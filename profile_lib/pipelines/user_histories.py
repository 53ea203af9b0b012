"""Keep the histories of users up to date with events."""

import logging
from functools import cache

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.merge import add_deletions
from profile_lib.delta.store import Store
from profile_lib.features.histories import HistoryLimits, build_histories, select_past_events
from profile_lib.fingerprint import hash_json
from profile_lib.pipelines.bucket_refresh import replace_state_rows
from profile_lib.pipelines.code_version import find_code_version
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, USER_HISTORIES, USER_HISTORIES_STATE
from profile_lib.tables.table import USER_BUCKET, user_bucket

HISTORY_CODE = ("profile_lib.features.histories", "profile_lib.tables.histories")
GUARD = "source.events_version > target.events_version"

log = logging.getLogger(__name__)


def history_limits(settings: Settings) -> HistoryLimits:
    """Return the limits of histories."""
    return HistoryLimits(**settings.histories.model_dump())


def update_histories(store: Store, settings: Settings) -> int:
    """Bring the histories up to date with `events`, and return the version that they know.

    Only the histories of users with changed events are written. New events are added to the stored
    history; a user whose events were changed or deleted gets a new one. All histories are built
    from `events` if there are none yet, if the settings or the shape of histories have changed, or
    if the change feed no longer reaches back. Jobs may do this at the same time, and a run that was
    killed may be repeated: a history is a function of the events of its version, and never replaces
    one of a later version. Raises InputError if there is no table `events`.
    """
    return _HistoryUpdate(store, settings).run()


@cache  # a stream asks in each batch, and the code of a process stays the same
def _find_history_version() -> int:
    return find_code_version(HISTORY_CODE)


class _HistoryUpdate:
    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.limits = store, history_limits(settings)
        self.n_buckets = settings.refresh.user_buckets
        self.version, self.table_id = store.version(EVENTS), store.table_id(EVENTS)
        self.definition = hash_json(
            [_find_history_version(), self.limits._asdict(), self.n_buckets]
        )
        self.state_rows = self._read_state_rows()

    def run(self) -> int:
        known = self._find_known_version()
        if known is not None and known >= self.version:
            return known
        changes = None if known is None else self.store.changes(EVENTS, known, self.version)
        if changes is None:
            self._forget_known_version()
            events = self.store.read(EVENTS, self.version)
            self.store.replace(USER_HISTORIES, self._complete(self._build(events)))
        else:
            self._apply(changes)
        self._write_known_version()
        return self.version

    def _find_known_version(self) -> int | None:
        """Return the version that all stored histories know; None if they have to be rebuilt."""
        return self._version_of(self.state_rows) if self.store.exists(USER_HISTORIES) else None

    def _read_state_rows(self) -> list[Row]:
        return self.store.read_or_empty(USER_HISTORIES_STATE).collect()  # one row

    def _version_of(self, state_rows: list[Row]) -> int | None:
        for row in state_rows:
            if (row["table_ids"], row["definition"]) == (self.table_id, self.definition):
                return int(row["events_version"])
        return None

    def _forget_known_version(self) -> None:
        """Store no version: until the table is complete, nobody must take it for complete."""
        if self.state_rows:
            replace_state_rows(self.store, USER_HISTORIES_STATE, [])
            self.state_rows = []

    def _write_known_version(self) -> None:
        """Store the version, or less if another job has written histories in the meantime.

        Both jobs may have inserted histories that the other one would have deleted. With the lower
        version, the next update looks at their users again.
        """
        version, rows = self.version, self._read_state_rows()
        if rows != self.state_rows:
            if (other := self._version_of(rows)) is None:
                return
            version = min(version, other)
        row = (self.table_id, self.definition, version)
        replace_state_rows(self.store, USER_HISTORIES_STATE, [row])

    def _apply(self, changes: DataFrame) -> None:
        """Merge the histories of the users with changes."""
        is_added = F.col("_change_type") == "insert"
        touched = changes.groupBy("user_id").agg((~F.every(is_added)).alias("is_rebuilt"))
        with cached(touched) as touched:
            n_users, n_rebuilt = touched.agg(
                F.count("*"), F.coalesce(F.sum(F.col("is_rebuilt").cast("int")), F.lit(0))
            ).collect()[0]
            if not n_users:
                return
            grown = touched.where("NOT is_rebuilt").select("user_id")
            histories = self._complete(self._add(changes, grown))
            if n_rebuilt:
                users = touched.where("is_rebuilt").select("user_id")
                events = self.store.read(EVENTS, self.version).join(users, "user_id", "left_semi")
                rebuilt = self._complete(self._build(events)).localCheckpoint()
                histories = add_deletions(
                    USER_HISTORIES,
                    histories.unionByName(rebuilt),
                    self._keys(users.join(rebuilt, "user_id", "left_anti")),
                )
            self.store.upsert(USER_HISTORIES, histories, guard=GUARD)
        log.info(f"user_histories: {n_users:,} updated, {n_rebuilt:,} of them built again")

    def _build(self, events: DataFrame) -> DataFrame:
        return build_histories(select_past_events(events, "user_id"), self.limits)

    def _add(self, changes: DataFrame, users: DataFrame) -> DataFrame:
        """Add new events to the histories of users that do not know them yet."""
        stored = self.store.read(USER_HISTORIES).join(users, "user_id", "left_semi")
        known = stored.select("user_id", F.col("events_version").alias("known_version"))
        is_new = F.col("_commit_version") > F.coalesce("known_version", F.lit(-1))
        new = changes.join(users, "user_id", "left_semi").join(known, "user_id", "left")
        return build_histories(
            select_past_events(new.where(is_new), "user_id"), self.limits, stored
        )

    def _complete(self, histories: DataFrame) -> DataFrame:
        return self._keys(histories).select(*USER_HISTORIES.column_names())

    def _keys(self, users: DataFrame) -> DataFrame:
        version = F.lit(self.version).cast("long")
        return users.withColumns(
            {USER_BUCKET: user_bucket(self.n_buckets), "events_version": version}
        )
