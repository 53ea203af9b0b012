"""Read, replace and merge the declared Delta tables; no other code touches them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.delta.change_feed import (
    CHANGE_COLUMNS,
    commits_since,
    empty_change_feed,
    read_changes,
)
from profile_lib.delta.merge import IS_DELETED, merge_condition, with_merge_clauses
from profile_lib.delta.retry import commit_with_retries
from profile_lib.delta.schema_evolution import prepare_table, select_declared_columns
from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.spark.session import cached, session_conf
from profile_lib.tables import Table

VACUUM_CONF = {
    "spark.databricks.delta.vacuum.logging.enabled": "true",  # `changes` reads these log entries
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # the caller decides
}


class Store:
    """The declared tables as Delta folders under one root path.

    A write that loses to a concurrent one is repeated, up to `max_attempts` attempts in all.
    """

    def __init__(
        self, spark: SparkSession, root: str, max_attempts: int = 1, first_wait_seconds: float = 0
    ) -> None:
        self.spark = spark
        self.max_attempts, self.first_wait_seconds = max_attempts, first_wait_seconds
        self._checked_tables: set[str] | None = None  # None: every write checks the table's shape
        self.root = root.rstrip("/") if ":" in root else str(Path(root).absolute())

    def for_stream_batches(self, spark: SparkSession) -> "Store":
        """Return a store of the same tables for the session of a stream's batches.

        Only its first write to each table checks the table's shape.
        """
        store = Store(spark, self.root, self.max_attempts, self.first_wait_seconds)
        store._checked_tables = set()
        return store

    def path(self, table: Table) -> str:
        """Return the path of the table."""
        return f"{self.root}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Return whether the table has been created."""
        from delta.tables import DeltaTable

        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Read the table's latest version, or an earlier one.

        Optional columns that it lacks are null. Raises InputError if the table was never written,
        if its columns differ from the declared ones, or if the version has been removed.
        """
        frame = self._delta(table).toDF() if version is None else self._read_version(table, version)
        return select_declared_columns(frame, table, self.path(table))

    def read_or_empty(self, table: Table) -> DataFrame:
        """Read the table's latest version; return an empty frame if it was never written."""
        if self.exists(table):
            return self.read(table)
        return self.spark.createDataFrame([], table.schema)

    def version(self, table: Table) -> int:
        """Return the number of the table's last commit."""
        history = self._delta(table).history(1).select("version").first()
        assert history is not None
        return int(history["version"])

    def table_id(self, table: Table) -> str:
        """Return the Delta table id, which changes if the table is created again."""
        return str(self._delta(table).detail().select("id").collect()[0][0])

    def commit_time(self, table: Table, version: int) -> datetime:
        """Return the time at which a version was committed."""
        commits = commits_since(self._delta(table), version).where(F.col("version") == version)
        micros = commits.select(F.unix_micros("timestamp")).collect()[0][0]
        return datetime.fromtimestamp(micros / 1e6, UTC)

    def changes(
        self, table: Table, after_version: int, until_version: int | None = None
    ) -> DataFrame | None:
        """Read the rows changed after a version, up to another version or the latest.

        Rows have the declared columns and CHANGE_COLUMNS. Returns None if the change feed does not
        reach back that far, or if the table never had this version: read the whole table then.
        """
        last_version = self.version(table) if until_version is None else until_version
        if after_version > last_version:
            return None
        path = self.path(table)
        if after_version == last_version:
            return empty_change_feed(self.read(table))
        feed = read_changes(self.spark, path, after_version + 1, last_version)
        return None if feed is None else select_declared_columns(feed, table, path, *CHANGE_COLUMNS)

    def evolve_schema(self, table: Table) -> None:
        """Add the optional columns and the properties that the table lacks."""
        self._commit(table, lambda: None)

    def replace(self, table: Table, frame: DataFrame, where: str | None = None) -> None:
        """Replace all rows, or those that the SQL condition `where` selects, in one commit.

        Without `where`, a table of an older shape gets the declared one. Raises InputError if the
        frame's columns differ from the declared ones.
        """
        writer = table.conform(frame).write.format("delta").mode("overwrite")
        if where is not None:
            writer = writer.option("replaceWhere", where)

        self._commit(table, lambda: writer.save(self.path(table)), may_replace=where is None)

    def append(self, table: Table, frame: DataFrame) -> None:
        """Add rows; their keys must be new."""
        writer = table.conform(frame).write.format("delta").mode("append")

        self._commit(table, lambda: writer.save(self.path(table)))

    def upsert(
        self,
        table: Table,
        frame: DataFrame,
        update: bool = True,
        guard: str | None = None,
        keep_target_when: Mapping[str, str] | None = None,
    ) -> None:
        """Merge by key: insert new rows, and update existing ones unless `update` is False.

        The frame holds one row per key; it is computed once and cached during the merge. Rows whose
        column `is_deleted` is true are removed from the table. `guard` is an SQL condition on
        `source` and `target`: an existing row changes only if it holds. `keep_target_when` maps
        columns to conditions of that kind: an existing row keeps its value if the condition holds.
        Raises InputError if the frame's columns differ from the declared ones.
        """
        has_deletions = IS_DELETED in frame.columns
        conformed = table.conform(frame.drop(IS_DELETED))
        if not self.exists(table):  # there is nothing to merge with
            new = frame.where(f"NOT {IS_DELETED}").drop(IS_DELETED) if has_deletions else conformed
            if self._create_with(table, new):
                return
        source = frame.select(*table.column_names(), IS_DELETED) if has_deletions else conformed
        with cached(source) as source:
            n_rows = source.count()  # fills the cache; isEmpty would compute it part by part
            if not n_rows:
                return  # an empty merge would still commit
            on = merge_condition(table, source, n_rows)

            def write() -> None:
                merge = self._delta(table).alias("target").merge(source.alias("source"), on)
                with_merge_clauses(
                    merge,
                    table,
                    update=update,
                    has_deletions=has_deletions,
                    guard=guard,
                    keep_target_when=keep_target_when or {},
                ).execute()

            self._commit(table, write)

    def files(self, table: Table) -> DataFrame:
        """Return one row per file of the latest version: partition columns, `path` and `bytes`."""
        path, size = F.col("_metadata.file_path"), F.col("_metadata.file_size")
        frame = self._delta(table).toDF()
        files = frame.select(*table.partition_by, path.alias("path"), size.alias("bytes"))
        return files.distinct()

    def compact(self, table: Table, file_bytes: int, where: str | None = None) -> None:
        """Combine small files into files of up to `file_bytes`, in the partitions of `where`.

        Rows of a clustered table are sorted by its cluster columns. No row changes: readers,
        streams and the change feed are not affected.
        """
        limits = {
            f"spark.databricks.delta.optimize.{n}FileSize": file_bytes for n in ("min", "max")
        }

        def write() -> None:
            optimize = self._delta(table).optimize()
            optimize = optimize if where is None else optimize.where(where)
            if table.cluster_by:
                optimize.executeZOrderBy(list(table.cluster_by))
            else:
                optimize.executeCompaction()

        with session_conf(self.spark, limits):
            self._commit(table, write)

    def vacuum(self, table: Table, retention_hours: float) -> int:
        """Remove files that no version of the last `retention_hours` uses; return their number.

        Earlier versions and their changes can no longer be read.
        """
        delta, before = self._delta(table), self.version(table)
        with session_conf(self.spark, VACUUM_CONF):
            delta.vacuum(retention_hours)
        end = commits_since(delta, before + 1).where("operation = 'VACUUM END'")
        return int(end.select("operationMetrics.numDeletedFiles").collect()[0][0])

    def _create_with(self, table: Table, rows: DataFrame) -> bool:
        """Create a table with its first rows; return False if another writer came first.

        If two writers appended their first rows at once, both would succeed and keys would repeat;
        an overwrite conflicts with what was written meanwhile.
        """
        writer = table.conform(rows).write.format("delta").mode("overwrite")

        def write() -> None:
            with prepare_table(self.spark, table, self.path(table)) as is_new:
                if not is_new:
                    raise ConcurrentWriteError(table.name)
                writer.save(self.path(table))

        try:
            commit_with_retries(table, write, max_attempts=1, first_wait_seconds=0)
        except ConcurrentWriteError:
            return False
        return True

    def _commit(self, table: Table, write: Callable[[], None], may_replace: bool = False) -> None:
        def prepare_and_write() -> None:
            if self._checked_tables is not None and table.name in self._checked_tables:
                write()
                return
            with prepare_table(self.spark, table, self.path(table), may_replace):
                write()
            if self._checked_tables is not None:
                self._checked_tables.add(table.name)

        wait = self.first_wait_seconds
        commit_with_retries(
            table, prepare_and_write, max_attempts=self.max_attempts, first_wait_seconds=wait
        )

    def _delta(self, table: Table):  # type: ignore[no-untyped-def]  # delta has no stubs here
        from delta.tables import DeltaTable

        if not self.exists(table):
            raise InputError(
                f"{table.name}: no table at {self.path(table)}; run the job that writes it first"
            )
        return DeltaTable.forPath(self.spark, self.path(table))

    def _read_version(self, table: Table, version: int) -> DataFrame:
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        try:
            return reader.load(self.path(table))
        except AnalysisException as error:
            history = self._delta(table).history().agg(F.min("version"), F.max("version"))
            first, last = history.collect()[0]
            raise InputError(
                f"{table.name}: no version {version}, kept are {first} to {last}"
            ) from error
