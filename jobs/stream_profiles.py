"""events, as they come → user_profiles, within seconds and exactly once."""

import time
from contextlib import ExitStack
from datetime import date
from threading import Lock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.arrivals import start_arrivals
from jobs.command import main
from jobs.profiling import Served, facts_of, profiles_of, served_model, serving_version
from jobs.refresh_profiles import Refresh
from jobs.streaming import Running, start_query, watch
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.histories import events_now, histories
from profile_lib.features.known import known_now
from profile_lib.inference.udf import Counts
from profile_lib.maintenance import MIB
from profile_lib.merge import IS_DELETED, deletions
from profile_lib.profiles.build import FACTS
from profile_lib.profiles.refresh import STREAM_GUARD
from profile_lib.progress import Progress
from profile_lib.spark import kept, session_conf
from profile_lib.store import Store
from profile_lib.tables import EVENTS, GUESSES, ITEMS, USER_PROFILES, USERS, user_bucket

ONCE = "bring what is there into the profiles, and end"
HAVE_LOST = "bool_or(exists(changes, change -> NOT change.is_there))"  # some, maybe all events
WAITS = "awaits IS NOT NULL"
KEEP = dict.fromkeys(GUESSES, f"source.{WAITS}")  # until there are others
EVERYTHING = 2**31 - 1  # files a batch: by parts of a table, users would have parts of a history
# Each user's events lie beside the JVM's heap, and a batch writes what it changed of them alone.
STATE = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}


def run(store: Store, settings: Settings, day: date | None, once: bool = False) -> None:
    """Refresh the profiles, then bring each event into its user's profile as it comes.

    Where events come as files or by Kafka, they are ingested on the way. Ends with `once`, or where
    it is stopped; killed at any moment, it goes on where it was.
    """
    if day is not None:
        raise InputError("--date: a stream takes what comes; for a day, run refresh_profiles")
    given, running = settings.stream, list[Running]()
    progress = Progress(given.report_seconds, given.max_lag_seconds)
    with ExitStack() as begun:
        if given.metrics_port is not None:
            begun.enter_context(progress.serving(given.metrics_port))
        if given.source != "events":
            for table in (EVENTS, ITEMS, USERS):  # a shop may begin with its stream
                store.mend(table)
            arrivals = start_arrivals(store, settings, once)
            begun.callback(arrivals.query.stop)
            if once:
                watch([arrivals], progress, lambda: None)
            else:
                running.append(arrivals)
        model = served_model(settings, "stream_profiles")
        refresh = Refresh(store, settings, model)
        refresh.catch_up()
        stream = Stream(store, settings, model, refresh.now.events, progress)
        watch([*running, stream.start(once)], progress, lambda: None if once else stream.drain())


class Stream:
    """What happens with a batch of changed users, one batch at a time.

    A profile is made of the user's whole history, which Spark keeps as the stream's state, and not
    of what the profile was: a batch that runs twice writes the same twice. `known_until` is the
    version of events up to which a refresh has brought all profiles.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        model: Served,
        known_until: int,
        progress: Progress,
    ) -> None:
        self.store, self.settings, self.model = store, settings, model
        self.known_until, self.progress = known_until, progress
        self.counts = Counts.on(store.spark.sparkContext)
        self.n_waiting = 1  # at least: an earlier stream may have left some
        self.n_fragments = 0  # commits since files were written together
        self._one_batch = Lock()

    def start(self, once: bool) -> Running:
        """The query, running."""
        given, spark = self.settings.stream, self.store.spark
        self.store.mend(EVENTS)
        reader = spark.readStream.format("delta").option("readChangeFeed", "true")
        feed = reader.option("maxFilesPerTrigger", EVERYTHING).load(self.store.path(EVENTS))
        partitions = {"spark.sql.shuffle.partitions": str(given.state_partitions)}
        with session_conf(spark, STATE | partitions):
            return start_query(self.store, histories(feed), self.bring, "profiles", given, once)

    def bring(self, store: Store, batch: DataFrame, batch_id: int) -> None:
        """Write the profiles of a batch's users as they are now, and of who awaits the model."""
        self._check_model()
        with self._one_batch, kept(batch) as batch:
            new = batch.where(F.col("events_version") > self.known_until)
            until, oldest, may_be_gone = new.agg(
                F.max("events_version"), F.unix_micros(F.min("changed_ts")), F.expr(HAVE_LOST)
            ).collect()[0]
            if until is None and not self.n_waiting:
                return
            if batch_id == 0 and until is not None:  # all that the table held at that version
                new, may_be_gone = self._changed(store, new, until), True
            facts = self._facts(store, new)
            if self.n_waiting:
                facts = facts.unionByName(self._queued(store, new))
            self._write(store, facts, self._gone(new) if may_be_gone else None)
            if oldest is not None:
                self.progress.tell_lag(time.time() - oldest / 1e6)
            self._compact(store)  # once the profiles are there to be seen

    def drain(self) -> None:
        """Let the model catch up with who awaits it, where no batch runs."""
        if self.n_waiting and self._one_batch.acquire(blocking=False):
            try:
                self._check_model()
                self._write(self.store, self._queued(self.store))
                self._compact(self.store)
            finally:
                self._one_batch.release()

    def _check_model(self) -> None:
        found, version = serving_version(self.settings), self.model.version
        if found != version:
            raise InputError(
                f"{self.model.folder}: the stream serves {version}, but {found} is to serve now: "
                "the model was replaced; start the stream again"
            )

    def _changed(self, store: Store, new: DataFrame, until: int) -> DataFrame:
        """Of all users of the first batch those whom the refresh did not see so, and who went."""
        changes = store.changes(EVENTS, self.known_until, until)
        if changes is None:
            return new
        users = changes.select("user_id").distinct()
        version = F.coalesce("events_version", F.lit(until)).alias("events_version")
        return users.join(new, "user_id", "left").select("user_id", "changes", version)

    def _facts(self, store: Store, new: DataFrame) -> DataFrame:
        known = known_now(events_now(new))
        rules = self.settings.behaviour_rules()
        behaviour = build_behaviour(known, store.read(ITEMS), **rules)
        # An inner join may end before it has read all of one side; Spark then ends the workers that
        # make it, and others load the model.
        behaviour = behaviour.join(new.select("user_id", "events_version"), "user_id", "left")
        return facts_of(behaviour, store.read(USERS), self.settings, F.col("events_version"))

    def _queued(self, store: Store, besides: DataFrame | None = None) -> DataFrame:
        """The facts of who awaits the model for the longest."""
        waiting = store.read_or_empty(USER_PROFILES).where(WAITS).select(*FACTS)
        if besides is not None:
            waiting = waiting.join(besides.select("user_id"), "user_id", "left_anti")
        return waiting.orderBy("as_of_ts").limit(self.settings.stream.queue_at_once)

    def _gone(self, new: DataFrame) -> DataFrame:
        """Users without events, as the keys of their profiles."""
        left = events_now(new).select("user_id").distinct()
        gone = new.select("user_id", "events_version").join(left, "user_id", "left_anti")
        return gone.withColumn("user_bucket", user_bucket(self.settings.refresh.user_buckets))

    def _write(self, store: Store, facts: DataFrame, gone: DataFrame | None = None) -> None:
        left, seconds = self.counts.left.value, self.settings.stream.encoder_seconds
        rows = profiles_of(facts, self.settings, self.model, self.counts, seconds)
        if gone is not None:
            rows = rows.withColumn(IS_DELETED, F.lit(False))
            rows = rows.unionByName(deletions(USER_PROFILES, gone))
        store.upsert(USER_PROFILES, rows, guard=STREAM_GUARD, keep=KEEP)
        if self.n_waiting:  # more than were taken up, maybe
            self.n_waiting = store.read_or_empty(USER_PROFILES).where(WAITS).count()
        else:
            self.n_waiting = self.counts.left.value - left
        self.progress.waiting.set(self.n_waiting)

    def _compact(self, store: Store) -> None:
        """Write the files of the last batches together, once there are many.

        Delta's own autoCompact has no such measure: in a table that it has not seen grow from its
        first commit on it may do so after every one.
        """
        self.n_fragments += 1
        if self.n_fragments >= self.settings.stream.compact_batches:
            store.compact(USER_PROFILES, self.settings.stream.compact_mib * MIB)
            self.n_fragments = 0


if __name__ == "__main__":
    main("stream_profiles", run, __doc__, {"once": ONCE})
