"""The only code that touches tables: reads, replaces and merges the declared Delta tables."""

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

VACUUM = {
    "spark.databricks.delta.vacuum.logging.enabled": "true",  # `changes` looks for it
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # the caller's to decide
}


class Store:
    """The declared tables as Delta folders under one root path.

    A write that loses against a concurrent one is tried again, `max_attempts` times in all.
    """

    def __init__(
        self, spark: SparkSession, root: str, max_attempts: int = 1, first_wait_seconds: float = 0
    ) -> None:
        self.spark = spark
        self.max_attempts, self.first_wait_seconds = max_attempts, first_wait_seconds
        self._checked_tables: set[str] | None = None  # tables that are not looked at again
        self.root = root.rstrip("/") if ":" in root else str(Path(root).absolute())

    def for_stream_batches(self, spark: SparkSession) -> "Store":
        """The same tables by the session of a stream's batches.

        Only the first write to a table looks whether it has the declared shape.
        """
        store = Store(spark, self.root, self.max_attempts, self.first_wait_seconds)
        store._checked_tables = set()
        return store

    def path(self, table: Table) -> str:
        """Where the table lies."""
        return f"{self.root}/{table.name}"

    def exists(self, table: Table) -> bool:
        """True where the table has been created."""
        from delta.tables import DeltaTable

        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The table as it is now or was at a version; an optional column that it lacks is null.

        Raises InputError where it was never written, or with other columns than are declared, and
        where the version is not kept.
        """
        frame = self._delta(table).toDF() if version is None else self._read_version(table, version)
        return select_declared_columns(frame, table, self.path(table))

    def read_or_empty(self, table: Table) -> DataFrame:
        """The table as it is now, without rows where it was never written."""
        if self.exists(table):
            return self.read(table)
        return self.spark.createDataFrame([], table.schema)

    def version(self, table: Table) -> int:
        """The number of the table's last commit."""
        history = self._delta(table).history(1).select("version").first()
        assert history is not None
        return int(history["version"])

    def table_id(self, table: Table) -> str:
        """What tells the table from another one that is made in its place."""
        return str(self._delta(table).detail().select("id").collect()[0][0])

    def commit_time(self, table: Table, version: int) -> datetime:
        """When a version that is kept was committed."""
        commits = commits_since(self._delta(table), version).where(F.col("version") == version)
        micros = commits.select(F.unix_micros("timestamp")).collect()[0][0]
        return datetime.fromtimestamp(micros / 1e6, UTC)

    def changes(
        self, table: Table, after_version: int, until_version: int | None = None
    ) -> DataFrame | None:
        """What was changed after a version, until another one or now: the table's change feed.

        Rows have the declared columns and CHANGE_COLUMNS. None where the feed does not reach back
        so far, or the table is not the one that had this version: all of it is to be read then.
        """
        last = self.version(table) if until_version is None else until_version
        if after_version > last:
            return None
        path = self.path(table)
        if after_version == last:
            return empty_change_feed(self.read(table))
        feed = read_changes(self.spark, path, after_version + 1, last)
        return None if feed is None else select_declared_columns(feed, table, path, *CHANGE_COLUMNS)

    def evolve_schema(self, table: Table) -> None:
        """Give the table the optional columns and the properties that it lacks, if any."""
        self._commit(table, lambda: None)

    def replace(self, table: Table, frame: DataFrame, where: str | None = None) -> None:
        """Put `frame` in place of the rows that `where` selects, or of all; whole or not at all.

        A table of an older shape that is replaced whole gets the declared one. Raises InputError
        where the frame breaks the table's contract.
        """
        writer = table.conform(frame).write.format("delta").mode("overwrite")
        if where is not None:
            writer = writer.option("replaceWhere", where)

        self._commit(table, lambda: writer.save(self.path(table)), may_replace=where is None)

    def append(self, table: Table, frame: DataFrame) -> None:
        """Add rows whose keys are known to be new."""
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
        """MERGE by key: new rows in, rows that are there updated (unless `update` is False).

        Rows of the source whose column `is_deleted` is true are taken out. With `guard`, an SQL
        condition on `source` and `target`, a row that is there is changed only where it holds.
        `keep_target_when` names columns and when, by such a condition, a row that is there keeps its value.
        The source must hold one row a key; it is computed once and kept while it is merged. Raises
        InputError where the frame breaks the contract.
        """
        has_deletions = IS_DELETED in frame.columns
        conformed = table.conform(frame.drop(IS_DELETED))
        if not self.exists(table):  # nothing to compare with
            new = frame.where(f"NOT {IS_DELETED}").drop(IS_DELETED) if has_deletions else conformed
            if self._create_with(table, new):
                return
        source = frame.select(*table.column_names(), IS_DELETED) if has_deletions else conformed
        with cached(source) as source:
            n_rows = source.count()  # all of it at once, where isEmpty goes part by part
            if not n_rows:
                return  # nor a commit
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
        """One row a file of the table as it is now: partition columns, `path` and `bytes`."""
        path, size = F.col("_metadata.file_path"), F.col("_metadata.file_size")
        frame = self._delta(table).toDF()
        found = frame.select(*table.partition_by, path.alias("path"), size.alias("bytes"))
        return found.distinct()

    def compact(self, table: Table, file_bytes: int, where: str | None = None) -> None:
        """Write small files of the partitions that `where` selects together, up to `file_bytes`.

        Rows of a table that is clustered lie near each other by its columns afterwards. No row
        changes: readers, streams and the change feed see nothing of it.
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
        """Remove files that no version of the last `retention_hours` has; how many there were.

        Earlier versions can be read no more, nor changes of that time.
        """
        delta, before = self._delta(table), self.version(table)
        with session_conf(self.spark, VACUUM):
            delta.vacuum(retention_hours)
        ended = commits_since(delta, before + 1).where("operation = 'VACUUM END'")
        return int(ended.select("operationMetrics.numDeletedFiles").collect()[0][0])

    def _create_with(self, table: Table, rows: DataFrame) -> bool:
        """Write the first rows of a table that is not there; False where another came first.

        Appended, the rows of two who begin at once would all be there: this way of writing minds
        what has come since.
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
            kept = self._delta(table).history().agg(F.min("version"), F.max("version")).collect()
            raise InputError(
                f"{table.name}: no version {version}, kept are {kept[0][0]} to {kept[0][1]}"
            ) from error
