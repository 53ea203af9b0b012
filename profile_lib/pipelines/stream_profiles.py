"""events, as they come → user_profiles, within seconds and exactly once."""

import time
from contextlib import ExitStack
from threading import Lock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.compaction import MIB
from profile_lib.delta.merge import IS_DELETED, deletion_rows
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
from profile_lib.pipelines.stream_arrivals import start_arrivals
from profile_lib.pipelines.stream_queries import RunningQuery, start_query, watch_queries
from profile_lib.profiles.build import FACT_COLUMNS
from profile_lib.profiles.merge_guards import STREAM_GUARD
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.spark.session import cached, session_conf
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS
from profile_lib.tables.profiles import PREDICTED_COLUMNS
from profile_lib.tables.table import user_bucket

HAS_DELETIONS = (
    "bool_or(exists(changes, change -> NOT change.is_present))"  # some, maybe all events
)
IS_PENDING = "pending_input IS NOT NULL"
KEEP_WHILE_PENDING = dict.fromkeys(
    PREDICTED_COLUMNS, f"source.{IS_PENDING}"
)  # until there are others
MAX_FILES_PER_BATCH = (
    2**31 - 1
)  # files a batch: by parts of a table, users would have parts of a history
# Each user's events lie beside the JVM's heap, and a batch writes what it changed of them alone.
STATE_STORE_CONF = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}


def run(store: Store, settings: Settings, once: bool = False) -> None:
    """Refresh the profiles, then bring each event into its user's profile as it comes.

    Where events come as files or by Kafka, they are ingested on the way. Ends with `once`, or where
    it is stopped; killed at any moment, it goes on where it was.
    """
    given, running = settings.stream, list[RunningQuery]()
    progress = StreamProgress(given.report_seconds, given.max_lag_seconds)
    with ExitStack() as begun:
        if given.metrics_port is not None:
            begun.enter_context(progress.serve_metrics(given.metrics_port))
        if given.source != "events":
            for table in (EVENTS, ITEMS, USERS):  # a shop may begin with its stream
                store.evolve_schema(table)
            arrivals = start_arrivals(store, settings, once)
            begun.callback(arrivals.query.stop)
            if once:
                watch_queries([arrivals], progress, lambda: None)
            else:
                running.append(arrivals)
        model = load_served_model(settings, "stream_profiles")
        refresh = ProfileRefresher(store, settings, model)
        refresh.catch_up()
        stream = ProfileStream(store, settings, model, refresh.source_versions.events, progress)
        watch_queries(
            [*running, stream.start(once)], progress, lambda: None if once else stream.drain()
        )


class ProfileStream:
    """What happens with a batch of changed users, one batch at a time.

    A profile is made of the user's whole history, which Spark keeps as the stream's state, and not
    of what the profile was: a batch that runs twice writes the same twice. `refreshed_version` is the
    version of events up to which a refresh has brought all profiles.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        model: ServedModel,
        refreshed_version: int,
        progress: StreamProgress,
    ) -> None:
        self.store, self.settings, self.model = store, settings, model
        self.refreshed_version, self.progress = refreshed_version, progress
        self.counters = InferenceCounters.create(store.spark.sparkContext)
        self.n_pending = 1  # at least: an earlier stream may have left some
        self.n_commits_since_compaction = 0  # commits since files were written together
        self._batch_lock = Lock()

    def start(self, once: bool) -> RunningQuery:
        """The query, running."""
        given, spark = self.settings.stream, self.store.spark
        self.store.evolve_schema(EVENTS)
        reader = spark.readStream.format("delta").option("readChangeFeed", "true")
        feed = reader.option("maxFilesPerTrigger", MAX_FILES_PER_BATCH).load(
            self.store.path(EVENTS)
        )
        partitions = {"spark.sql.shuffle.partitions": str(given.state_partitions)}
        with session_conf(spark, STATE_STORE_CONF | partitions):
            return start_query(
                self.store, collect_user_changes(feed), self.process_batch, "profiles", given, once
            )

    def process_batch(self, store: Store, batch: DataFrame, batch_id: int) -> None:
        """Write the profiles of a batch's users as they are now, and of who awaits the model."""
        self._check_model()
        with self._batch_lock, cached(batch) as batch:
            new = batch.where(F.col("events_version") > self.refreshed_version)
            until, oldest, may_be_gone = new.agg(
                F.max("events_version"), F.unix_micros(F.min("changed_ts")), F.expr(HAS_DELETIONS)
            ).collect()[0]
            if until is None and not self.n_pending:
                return
            if batch_id == 0 and until is not None:  # all that the table held at that version
                new, may_be_gone = self._changed(store, new, until), True
            facts = self._facts(store, new)
            if self.n_pending:
                facts = facts.unionByName(self._pending_facts(store, new))
            self._write(store, facts, self._deleted_users(new) if may_be_gone else None)
            if oldest is not None:
                self.progress.report_lag(time.time() - oldest / 1e6)
            self._compact(store)  # once the profiles are there to be seen

    def drain(self) -> None:
        """Let the model catch up with who awaits it, where no batch runs."""
        if self.n_pending and self._batch_lock.acquire(blocking=False):
            try:
                self._check_model()
                self._write(self.store, self._pending_facts(self.store))
                self._compact(self.store)
            finally:
                self._batch_lock.release()

    def _check_model(self) -> None:
        found, version = find_served_version(self.settings), self.model.version
        if found != version:
            raise InputError(
                f"{self.model.folder}: the stream serves {version}, but {found} is to serve now: "
                "the model was replaced; start the stream again"
            )

    def _changed(self, store: Store, new: DataFrame, until: int) -> DataFrame:
        """Of all users of the first batch those whom the refresh did not see so, and who went."""
        changes = store.changes(EVENTS, self.refreshed_version, until)
        if changes is None:
            return new
        users = changes.select("user_id").distinct()
        version = F.coalesce("events_version", F.lit(until)).alias("events_version")
        return users.join(new, "user_id", "left").select("user_id", "changes", version)

    def _facts(self, store: Store, new: DataFrame) -> DataFrame:
        events = select_current_events(new)
        behaviour = build_current_behaviour(events, store.read(ITEMS), self.settings)
        # An inner join may end before it has read all of one side; Spark then ends the workers that
        # make it, and others load the model.
        behaviour = behaviour.join(new.select("user_id", "events_version"), "user_id", "left")
        return build_facts(behaviour, store.read(USERS), self.settings, F.col("events_version"))

    def _pending_facts(self, store: Store, excluded_users: DataFrame | None = None) -> DataFrame:
        """The facts of who awaits the model for the longest."""
        waiting = store.read_or_empty(USER_PROFILES).where(IS_PENDING).select(*FACT_COLUMNS)
        if excluded_users is not None:
            waiting = waiting.join(excluded_users.select("user_id"), "user_id", "left_anti")
        return waiting.orderBy("as_of_ts").limit(self.settings.stream.max_pending_per_batch)

    def _deleted_users(self, new: DataFrame) -> DataFrame:
        """Users without events, as the keys of their profiles."""
        left = select_current_events(new).select("user_id").distinct()
        gone = new.select("user_id", "events_version").join(left, "user_id", "left_anti")
        return gone.withColumn("user_bucket", user_bucket(self.settings.refresh.user_buckets))

    def _write(self, store: Store, facts: DataFrame, gone: DataFrame | None = None) -> None:
        left, seconds = self.counters.skipped_rows.value, self.settings.stream.encoder_seconds
        rows = predict_profiles(facts, self.settings, self.model, self.counters, seconds)
        if gone is not None:
            rows = rows.withColumn(IS_DELETED, F.lit(False))
            rows = rows.unionByName(deletion_rows(USER_PROFILES, gone))
        store.upsert(USER_PROFILES, rows, guard=STREAM_GUARD, keep_target_when=KEEP_WHILE_PENDING)
        if self.n_pending:  # more than were taken up, maybe
            self.n_pending = store.read_or_empty(USER_PROFILES).where(IS_PENDING).count()
        else:
            self.n_pending = self.counters.skipped_rows.value - left
        self.progress.pending_users.set(self.n_pending)

    def _compact(self, store: Store) -> None:
        """Write the files of the last batches together, once there are many.

        Delta's own autoCompact has no such measure: in a table that it has not seen grow from its
        first commit on it may do so after every one.
        """
        self.n_commits_since_compaction += 1
        if self.n_commits_since_compaction >= self.settings.stream.compact_batches:
            store.compact(USER_PROFILES, self.settings.stream.compact_mib * MIB)
            self.n_commits_since_compaction = 0
