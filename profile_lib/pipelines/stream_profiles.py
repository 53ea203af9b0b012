"""Update profiles within seconds of an event, each event exactly once."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from threading import Lock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.change_feed import CHANGE_COLUMNS
from profile_lib.delta.compaction import MIB
from profile_lib.delta.merge import add_deletions
from profile_lib.delta.pseudonym_versions import read_complete_version
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.catalog_words import ProjectedCatalog, project_catalog
from profile_lib.inference.udf import InferenceCounters
from profile_lib.people.membership import find_people_of_ids
from profile_lib.pipelines.person_data import (
    find_changed_members,
    people_version,
    read_person_histories,
    read_person_users,
)
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import (
    ServedModel,
    build_current_behaviour,
    build_facts,
    find_served_version,
    load_served_model,
    predict_profiles,
)
from profile_lib.pipelines.stream_arrivals import ArrivalStream
from profile_lib.pipelines.stream_queries import BatchId, RunningQuery, start_query, watch_queries
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.profiles.build import FACT_COLUMNS
from profile_lib.profiles.merge_guards import STREAM_GUARD
from profile_lib.profiles.refresh_state import SourceVersions
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.spark.hadoop_files import remove_path
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, ITEMS, PEOPLE, USER_PROFILES, USERS
from profile_lib.tables.profiles import PREDICTED_COLUMNS
from profile_lib.tables.table import user_bucket

CHECKPOINT = "changed_users"  # folder of the position within a run
IS_PENDING = "pending_input IS NOT NULL"
# A pending profile keeps its old predictions until the model has computed new ones.
KEEP_WHILE_PENDING = {
    name: f"CASE WHEN source.{IS_PENDING} THEN target.{name} ELSE source.{name} END"
    for name in PREDICTED_COLUMNS
}


def run(
    store: Store, settings: Settings, once: bool = False, *, clock: Callable[[], float]
) -> None:
    """Refresh the profiles, then update them with each new event.

    If events come as files or from Kafka, the stream ingests them as well, and waits for a Delta
    table that does not exist yet. It ends if it is stopped, or with `once` when it has processed
    what is available. If it is killed at any moment, the next run continues from there. `clock`
    returns seconds since 1970. Raises InputError if the model cannot be loaded or was replaced, or
    if the source of events cannot be opened.
    """
    config, running = settings.stream, list[RunningQuery]()
    start_waiting: Callable[[], RunningQuery | None] | None = None
    progress = StreamProgress(config.report_seconds, config.max_lag_seconds)
    with ExitStack() as resources:
        if config.metrics_port is not None:
            resources.enter_context(progress.serve_metrics(config.metrics_port))
        if config.source != "events":
            for table in (EVENTS, ITEMS, USERS):  # a new shop may start with its stream
                store.evolve_schema(table)
            stream_of_arrivals = ArrivalStream(store, settings, clock)
            arrivals = stream_of_arrivals.start(once)
            if arrivals is None:
                start_waiting = None if once else partial(stream_of_arrivals.start, once)
            elif once:
                watch_queries([arrivals], progress, lambda: None)
            else:
                resources.callback(arrivals.query.stop)
                running.append(arrivals)
        if store.exists(EVENTS):
            store.evolve_schema(EVENTS)  # before the refresh: the stream begins at its version
        model = load_served_model(settings, "stream_profiles")
        refresh = ProfileRefresher(store, settings, model)
        refresh.catch_up()
        stream = ProfileStream(store, settings, model, refresh.source_versions, progress, clock)
        watch_queries(
            [*running, stream.start(once)],
            progress,
            lambda: None if once else stream.drain(),
            start_waiting,
        )


class ProfileStream:
    """A stream that updates the profiles of changed users, one batch at a time.

    A batch says whose events changed. A profile is computed from the user's history, and not from
    the stored profile: a batch that runs twice writes the same rows twice, and the stream itself
    holds no events. `refreshed` are the versions of the tables from which a refresh computed all
    profiles. `clock` returns seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        model: ServedModel,
        refreshed: SourceVersions,
        progress: StreamProgress,
        clock: Callable[[], float],
    ) -> None:
        self.store, self.settings, self.model = store, settings, model
        self.refreshed, self.progress, self.clock = refreshed, progress, clock
        self.people_version = refreshed.people  # version that all profiles know
        self.key_version = read_complete_version(store) or 1
        self.counters = InferenceCounters.create(store.spark.sparkContext)
        self.n_pending = 1  # unknown, but more than 0: an earlier stream may have left some
        self.n_commits_since_compaction = 0
        self._catalog: tuple[int, ProjectedCatalog] | None = None  # with the version of items
        self._batch_lock = Lock()

    def start(self, once: bool) -> RunningQuery:
        """Start the query, which calls `process_batch` for each batch of changes.

        With `once` it ends when it has processed what is available.
        """
        # The stream begins where the refresh ended, which did all that an earlier stream left. The
        # position of that one may be in commits that no longer exist.
        remove_path(self.store.spark, f"{self.settings.stream.checkpoint}/{CHECKPOINT}")
        reader = self.store.spark.readStream.format("delta").option("readChangeFeed", "true")
        reader = reader.option("startingVersion", self.refreshed.events)
        return start_query(
            self.store,
            reader.load(self.store.path(EVENTS)),
            self.process_batch,
            CHECKPOINT,
            self.settings.stream,
            once,
        )

    def process_batch(self, store: Store, batch: DataFrame, batch_id: BatchId) -> None:
        """Write the profiles of the people of a batch, and of some pending users.

        Raises InputError if another model serves than the one that was loaded, or if the pseudonym
        key was rotated.
        """
        self._check_unchanged()
        new = batch.where(F.col("_commit_version") > self.refreshed.events)
        with self._batch_lock, cached(new.select("user_id", *CHANGE_COLUMNS)) as changes:
            oldest, has_removed = changes.agg(
                F.unix_micros(F.min("_commit_timestamp")),
                F.bool_or(~F.col("_change_type").isin("insert", "update_postimage")),
            ).collect()[0]
            if oldest is None and not self.n_pending:
                return
            if oldest is None:
                self._write(store, self._select_pending_facts(store))
            else:
                self._write_changed_people(store, changes, has_removed)
                self.progress.report_lag(self.clock() - oldest / 1e6)
            self._compact(store)  # only after the profiles can be read

    def _write_changed_people(self, store: Store, changes: DataFrame, has_removed: bool) -> None:
        version, people_now = update_histories(store, self.settings), people_version(store)
        users = find_people_of_ids(changes, store.read_or_empty(PEOPLE))
        members = find_changed_members(store, self.people_version, people_now)
        if members is not None:  # else the next refresh finds them
            users = users.union(members).distinct()
        with cached(users) as users:
            histories = read_person_histories(store, self.settings, users)
            facts = self._build_facts(store, users, histories, version)
            if self.n_pending:
                facts = facts.unionByName(self._select_pending_facts(store, users))
            deleted = None
            if has_removed or self.people_version != people_now:
                deleted = self._select_deleted_users(users, histories, version)
            self._write(store, facts, deleted)
        self.people_version = people_now

    def drain(self) -> None:
        """Compute the predictions of some pending users, unless a batch is running."""
        if self.n_pending and self._batch_lock.acquire(blocking=False):
            try:
                self._check_unchanged()
                self._write(self.store, self._select_pending_facts(self.store))
                self._compact(self.store)
            finally:
                self._batch_lock.release()

    def _check_unchanged(self) -> None:
        """Raise InputError if the model or the pseudonym key was replaced."""
        current, loaded = find_served_version(self.settings), self.model.version
        if current != loaded:
            raise InputError(
                f"{self.model.folder}: the stream uses {loaded}, but the model was replaced by "
                f"{current}; start the stream again"
            )
        if (read_complete_version(self.store) or 1) != self.key_version:
            raise InputError(
                "pseudonym_versions: the pseudonym key was rotated since the stream started; start "
                "the stream again"
            )

    def _build_facts(
        self, store: Store, users: DataFrame, histories: DataFrame, version: int
    ) -> DataFrame:
        behaviour = build_current_behaviour(histories, self._read_catalog(store), self.settings)
        declared = read_person_users(store, persons=users)
        return build_facts(behaviour, declared, self.settings, F.lit(version).cast("long"))

    def _read_catalog(self, store: Store) -> ProjectedCatalog:
        """Return the projected items, which are computed again only if the table changed."""
        version = store.version(ITEMS)
        if self._catalog is not None and self._catalog[0] != version:
            self._catalog[1].unpersist()
            self._catalog = None
        if self._catalog is None:
            self._catalog = version, project_catalog(store.read(ITEMS, version)).persist()
        return self._catalog[1]

    def _select_pending_facts(
        self, store: Store, excluded_users: DataFrame | None = None
    ) -> DataFrame:
        """Select the facts of the users who have been pending longest."""
        pending = store.read_or_empty(USER_PROFILES).where(IS_PENDING).select(*FACT_COLUMNS)
        if excluded_users is not None:
            pending = pending.join(excluded_users.select("user_id"), "user_id", "left_anti")
        return pending.orderBy("as_of_ts").limit(self.settings.stream.max_pending_per_batch)

    def _select_deleted_users(
        self, users: DataFrame, histories: DataFrame, version: int
    ) -> DataFrame:
        """Select the keys of the profiles of users who no longer have any event."""
        return users.join(histories, "user_id", "left_anti").withColumns(
            {
                "user_bucket": user_bucket(self.settings.refresh.user_buckets),
                "events_version": F.lit(version).cast("long"),
            }
        )

    def _write(self, store: Store, facts: DataFrame, deleted: DataFrame | None = None) -> None:
        n_skipped = self.counters.skipped_rows.value
        max_seconds = self.settings.stream.encoder_seconds
        rows = predict_profiles(facts, self.settings, self.model, self.counters, max_seconds)
        if deleted is not None:
            rows = add_deletions(USER_PROFILES, rows, deleted)
        store.upsert(USER_PROFILES, rows, guard=STREAM_GUARD, update_values=KEEP_WHILE_PENDING)
        if self.n_pending:  # there may be more than this batch took
            self.n_pending = store.read_or_empty(USER_PROFILES).where(IS_PENDING).count()
        else:
            self.n_pending = self.counters.skipped_rows.value - n_skipped
        self.progress.pending_users.set(self.n_pending)

    def _compact(self, store: Store) -> None:
        """Merge the files of the last batches if there are many.

        Delta's autoCompact would do so after any commit, however few they are.
        """
        self.n_commits_since_compaction += 1
        if self.n_commits_since_compaction >= self.settings.stream.compact_batches:
            store.compact(USER_PROFILES, self.settings.stream.compact_mib * MIB)
            self.n_commits_since_compaction = 0
