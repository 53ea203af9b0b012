"""Ingest events as they arrive, in files, in a Delta table or through Kafka."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.pseudonym_versions import check_key
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.files.inspection import BINARY_FILES, select_listed
from profile_lib.events.formats.json_lines import parse_json
from profile_lib.events.formats.registry import FORMATS, column_types
from profile_lib.events.input_plan import InputPlan
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.events.readers import check_files, conform_rows, table_version
from profile_lib.events.stream_rows import message_rows, table_rows
from profile_lib.pipelines.event_source import find_latest_time, open_source
from profile_lib.pipelines.file_ledger import inspect_new_files
from profile_lib.pipelines.ingest_batch import write_batch
from profile_lib.pipelines.ingest_events import ingest_new_files
from profile_lib.pipelines.stream_queries import BatchId, RunningQuery, start_query
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.frames import union_all
from profile_lib.spark.session import session_conf

MAX_FILE_AGE = "36500d"
INPUT = "input"  # column that names the input of a listed file

log = logging.getLogger(__name__)


class ArrivalStream:
    """A stream that cleans and writes what arrives, as ingest_events does.

    Rows that break a rule go to rejected_events, however many there are, because one bad event may
    be all of a small batch. `clock` returns seconds since 1970, and is read once per batch to
    recognise events from the future. Raises InputError as `open_source` does, if the tables have
    another version of the pseudonym key, or if the inputs are not all files, one table or one
    topic.
    """

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], float]) -> None:
        lenient = {"max_rejected_share": 1.0, "max_shares": {}}
        self.store, self.config, self.clock = store, settings.stream, clock
        ingest = settings.ingest.model_copy(update=lenient)
        self.source = open_source(store.spark, ingest, settings.people)
        check_key(store, self.source.pseudonyms.fingerprints)
        plans = self.source.event_plans
        self.is_table = any(FORMATS.get(plan.spec.format).is_table for plan in plans)
        if (self.config.source == "kafka" or self.is_table) and len(plans) > 1:
            raise InputError(
                f"{self.source.mapping.name}.event_inputs: {len(plans)} inputs; a stream reads "
                "files of any number of inputs, but one table or topic"
            )
        self._is_waiting = False

    def start(self, once: bool) -> RunningQuery | None:
        """Start the query; return None if the table does not exist yet.

        A folder of files may be empty. With `once` the query ends when it has processed what is
        available. Raises InputError if there is no folder, or if a table lacks columns that the
        mapping needs.
        """
        arriving: DataFrame | None
        if self.config.source == "kafka":
            reader = self.store.spark.readStream.format("kafka")
            arriving = reader.options(**self.config.kafka).load()
            process = self.process_messages
        elif self.is_table:
            arriving, process = self._open_table(), self.process_table
        else:
            arriving, process = self._list_files(), self.process_files
        if arriving is None:
            return None
        return start_query(self.store, arriving, process, "arrivals", self.config, once)

    def _list_files(self) -> DataFrame:
        """List the files of all inputs as they arrive."""
        reader = self.store.spark.readStream.format("binaryFile").schema(BINARY_FILES)
        # By default, Spark ignores files that are a week older than the newest one. A file that
        # ended the stream because it cannot be read may be removed.
        reader = reader.options(
            recursiveFileLookup=True, maxFileAge=MAX_FILE_AGE, ignoreMissingFiles=True
        )
        listed = []
        for plan in self.source.event_plans:
            path = self.source.settings.inputs[plan.name]
            with explain_read_errors(plan.label, path):
                files = select_listed(reader.load(path))
            listed.append(files.withColumn(INPUT, F.lit(plan.name)))
        return union_all(listed)

    def _open_table(self) -> DataFrame | None:
        """Return the rows added to the table; None if it has no columns yet."""
        spark, plan = self.store.spark, self.source.event_plans[0]
        path = self.source.settings.inputs[plan.name]
        with explain_read_errors(plan.label, path):
            version = table_version(spark, path) if DeltaTable.isDeltaTable(spark, path) else None
            if version is None or version.where(F.size("names") > 0).isEmpty():
                if not self._is_waiting:
                    log.warning(
                        f"{plan.label}: no Delta table with columns at {path} yet; its rows are "
                        "ingested once it exists"
                    )
                self._is_waiting = True
                return None
            for sentence in check_files(plan, version):
                log.warning(sentence)
            return spark.readStream.format("delta").option("skipChangeCommits", "true").load(path)

    def process_files(self, store: Store, batch: DataFrame, batch_id: BatchId) -> None:
        """Ingest the files that a batch lists."""
        name = self.source.mapping.name
        with session_conf(store.spark, LENIENT_CONF):
            listed = batch.localCheckpoint()
            new_files = [
                inspect_new_files(
                    store, name, plan, listed.where(F.col(INPUT) == plan.name).drop(INPUT)
                )
                for plan in self.source.event_plans
            ]
            ingest_new_files(store, self.source, new_files, None, self._now())

    def process_table(self, store: Store, batch: DataFrame, batch_id: BatchId) -> None:
        """Ingest rows that were added to a Delta table."""
        plan = self.source.event_plans[0]
        path = self.source.settings.inputs[plan.name]
        with session_conf(store.spark, LENIENT_CONF):
            rows = table_rows(batch, path, str(batch_id), self._now())
            self._ingest_rows(store, plan, rows, str(batch_id))

    def process_messages(self, store: Store, batch: DataFrame, batch_id: BatchId) -> None:
        """Ingest messages of a Kafka topic, whose values are JSON objects."""
        plan = self.source.event_plans[0]
        with session_conf(store.spark, LENIENT_CONF):
            rows = parse_json(message_rows(batch), column_types(plan.shape, plan.spec), ())
            self._ingest_rows(store, plan, rows, str(batch_id))

    def _ingest_rows(self, store: Store, plan: InputPlan, rows: DataFrame, batch_id: str) -> None:
        if rows.isEmpty():
            return
        check_key(store, self.source.pseudonyms.fingerprints)  # it may have been rotated
        now = self._now()
        latest = find_latest_time(self.source.settings, None, now)
        lookups = self.source.read_lookups(store.spark)
        judged = self.source.judge_rows(conform_rows(rows, plan), plan, lookups, latest)
        write_batch(store, self.source, judged, batch_id, now.date())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)
