"""Update profiles within seconds of an event, each event exactly once."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from threading import Lock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.compaction import MIB
from profile_lib.delta.merge import add_deletions
from profile_lib.delta.pseudonym_versions import read_complete_version
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.event_histories import collect_user_changes, select_current_events
from profile_lib.inference.udf import InferenceCounters
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
from profile_lib.profiles.build import FACT_COLUMNS
from profile_lib.profiles.merge_guards import STREAM_GUARD
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.spark.session import cached, session_conf
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS
from profile_lib.tables.profiles import PREDICTED_COLUMNS
from profile_lib.tables.table import user_bucket

HAS_DELETIONS = "bool_or(exists(changes, change -> NOT change.is_present))"
IS_PENDING = "pending_input IS NOT NULL"
# A pending profile keeps its old predictions until the model has computed new ones.
KEEP_WHILE_PENDING = {
    name: f"CASE WHEN source.{IS_PENDING} THEN target.{name} ELSE source.{name} END"
    for name in PREDICTED_COLUMNS
}
# A batch takes all new files: with some of them, it would see only part of a user's history.
MAX_FILES_PER_BATCH = 2**31 - 1
# Each user's events lie outside the JVM's heap, and a batch writes only what it changed of them.
STATE_STORE_CONF = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
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
        model = load_served_model(settings, "stream_profiles")
        refresh = ProfileRefresher(store, settings, model)
        refresh.catch_up()
        events_version = refresh.source_versions.events
        stream = ProfileStream(store, settings, model, events_version, progress, clock)
        watch_queries(
            [*running, stream.start(once)],
            progress,
            lambda: None if once else stream.drain(),
            start_waiting,
        )


def checkpoint_name(key_version: int) -> str:
    """Return the name of the profile stream's folder in the checkpoint.

    Each version of the pseudonym key has its own, because the state there is keyed by pseudonyms.
    """
    return "profiles" if key_version == 1 else f"profiles_{key_version}"


class ProfileStream:
    """A stream that updates the profiles of changed users, one batch at a time.

    A profile is computed from the user's complete history, which Spark holds as the stream's
    state, and not from the stored profile: a batch that runs twice writes the same rows twice.
    `refreshed_version` is the version of events from which a refresh computed all profiles. `clock`
    returns seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        model: ServedModel,
        refreshed_version: int,
        progress: StreamProgress,
        clock: Callable[[], float],
    ) -> None:
        self.store, self.settings, self.model = store, settings, model
        self.refreshed_version, self.progress, self.clock = refreshed_version, progress, clock
        self.key_version = read_complete_version(store) or 1
        self.counters = InferenceCounters.create(store.spark.sparkContext)
        self.n_pending = 1  # unknown, but more than 0: an earlier stream may have left some
        self.n_commits_since_compaction = 0
        self._batch_lock = Lock()

    def start(self, once: bool) -> RunningQuery:
        """Start the query, which calls `process_batch` for each batch of changed users.

        With `once` it ends when it has processed what is available.
        """
        config, spark = self.settings.stream, self.store.spark
        self.store.evolve_schema(EVENTS)
        reader = spark.readStream.format("delta").option("readChangeFeed", "true")
        feed = reader.option("maxFilesPerTrigger", MAX_FILES_PER_BATCH).load(
            self.store.path(EVENTS)
        )
        partitions = {"spark.sql.shuffle.partitions": str(config.state_partitions)}
        with session_conf(spark, STATE_STORE_CONF | partitions):
            return start_query(
                self.store,
                collect_user_changes(feed),
                self.process_batch,
                checkpoint_name(self.key_version),
                config,
                once,
            )

    def process_batch(self, store: Store, batch: DataFrame, batch_id: BatchId) -> None:
        """Write the profiles of a batch's users, and of some pending users.

        Raises InputError if another model serves than the one that was loaded, or if the pseudonym
        key was rotated.
        """
        self._check_unchanged()
        with self._batch_lock, cached(batch) as batch:
            new = batch.where(F.col("events_version") > self.refreshed_version)
            until, oldest, has_deletions = new.agg(
                F.max("events_version"), F.unix_micros(F.min("changed_ts")), F.expr(HAS_DELETIONS)
            ).collect()[0]
            if until is None and not self.n_pending:
                return
            # The first batch holds the complete table.
            if batch_id.number == 0 and until is not None:
                new, has_deletions = self._select_changed(store, new, until), True
            facts = self._build_facts(store, new)
            if self.n_pending:
                facts = facts.unionByName(self._select_pending_facts(store, new))
            self._write(store, facts, self._select_deleted_users(new) if has_deletions else None)
            if oldest is not None:
                self.progress.report_lag(self.clock() - oldest / 1e6)
            self._compact(store)  # only after the profiles can be read

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

    def _select_changed(self, store: Store, new: DataFrame, until: int) -> DataFrame:
        """Select the users of the first batch who changed or were deleted since the refresh."""
        changes = store.changes(EVENTS, self.refreshed_version, until)
        if changes is None:
            return new
        users = changes.select("user_id").distinct()
        version = F.coalesce("events_version", F.lit(until)).alias("events_version")
        return users.join(new, "user_id", "left").select("user_id", "changes", version)

    def _build_facts(self, store: Store, new: DataFrame) -> DataFrame:
        events = select_current_events(new)
        behaviour = build_current_behaviour(events, store.read(ITEMS), self.settings)
        # With an inner join Spark may stop reading one side early and end its Python workers; the
        # next ones would load the model again.
        behaviour = behaviour.join(new.select("user_id", "events_version"), "user_id", "left")
        return build_facts(behaviour, store.read(USERS), self.settings, F.col("events_version"))

    def _select_pending_facts(
        self, store: Store, excluded_users: DataFrame | None = None
    ) -> DataFrame:
        """Select the facts of the users who have been pending longest."""
        pending = store.read_or_empty(USER_PROFILES).where(IS_PENDING).select(*FACT_COLUMNS)
        if excluded_users is not None:
            pending = pending.join(excluded_users.select("user_id"), "user_id", "left_anti")
        return pending.orderBy("as_of_ts").limit(self.settings.stream.max_pending_per_batch)

    def _select_deleted_users(self, new: DataFrame) -> DataFrame:
        """Select the keys of the profiles of users who no longer have any event."""
        present = select_current_events(new).select("user_id").distinct()
        deleted = new.select("user_id", "events_version").join(present, "user_id", "left_anti")
        return deleted.withColumn("user_bucket", user_bucket(self.settings.refresh.user_buckets))

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
