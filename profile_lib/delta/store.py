"""Write and maintain the declared Delta tables; no other code changes them."""

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame, SparkSession

from profile_lib.delta.change_feed import commits_since
from profile_lib.delta.merge import IS_DELETED, merge_condition, with_merge_clauses
from profile_lib.delta.reader import TableReader
from profile_lib.delta.retry import commit_with_retries
from profile_lib.delta.schema_evolution import prepare_table
from profile_lib.errors import ConcurrentWriteError
from profile_lib.spark.session import cached, session_conf
from profile_lib.tables import Table

VACUUM_CONF = {
    "spark.databricks.delta.vacuum.logging.enabled": "true",  # read_changes needs these log entries
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # the caller chose it
}


class Store(TableReader):
    """Read and write access to the declared tables under the roots of a TableReader.

    A write that loses to a concurrent one is retried after `first_wait_seconds`, then after about
    twice that time, and so on. After `max_attempts` attempts ConcurrentWriteError is raised.
    """

    def __init__(
        self,
        spark: SparkSession,
        root: str,
        identity_root: str | None = None,
        *,
        max_attempts: int = 1,
        first_wait_seconds: float = 0,
    ) -> None:
        super().__init__(spark, root, identity_root)
        self.max_attempts, self.first_wait_seconds = max_attempts, first_wait_seconds
        # The tables whose schema need not be checked again; None: every write checks it.
        self._checked_tables: set[str] | None = None

    def for_stream_batches(self, spark: SparkSession) -> "Store":
        """Return a store of the same tables for the session of a stream's batches.

        It checks the schema of a table only at its first write, because each check takes time in
        every batch.
        """
        store = Store(
            spark,
            self.root,
            self.identity_root,
            max_attempts=self.max_attempts,
            first_wait_seconds=self.first_wait_seconds,
        )
        store._checked_tables = set()
        return store

    def evolve_schema(self, table: Table) -> None:
        """Add the optional columns and the properties that the table lacks."""
        self._commit(table, lambda: None)

    def replace(self, table: Table, frame: DataFrame, where: str | None = None) -> None:
        """Replace all rows, or those that the SQL condition `where` selects, in one commit.

        Without `where`, a table of an older schema gets the declared one. Raises InputError if the
        frame's columns differ from the declared ones.
        """
        writer = table.conform(frame).write.format("delta").mode("overwrite")
        if where is not None:
            writer = writer.option("replaceWhere", where)
        self._commit(table, lambda: writer.save(self.path(table)), may_replace=where is None)

    def rewrite(
        self, table: Table, frame: DataFrame, read_version: int, rewriter: str, number: int
    ) -> None:
        """Replace all rows by the same rows in another form, in one commit.

        Streams and the change feed skip it. Nothing happens if the `rewriter` has committed this
        `number` before. `frame` is computed from `read_version`: raises ConcurrentWriteError if
        another job has written since, and InputError if the frame's columns are not the declared
        ones.
        """
        writer = table.conform(frame).write.format("delta").mode("overwrite")
        writer = writer.option("dataChange", False)
        writer = writer.option("txnAppId", rewriter).option("txnVersion", number)

        def write() -> None:
            if self.version(table) != read_version:
                raise ConcurrentWriteError(
                    f"{table.name}: nothing was written, because another job wrote to the table; "
                    "stop the other jobs and run this again"
                )
            writer.save(self.path(table))

        commit_with_retries(table, write, max_attempts=1, first_wait_seconds=0)

    def append(self, table: Table, frame: DataFrame) -> None:
        """Add rows; their keys must be new, which is not checked.

        Raises InputError if the frame's columns differ from the declared ones.
        """
        writer = table.conform(frame).write.format("delta").mode("append")
        self._commit(table, lambda: writer.save(self.path(table)))

    def upsert(
        self,
        table: Table,
        frame: DataFrame,
        update: bool = True,
        guard: str | None = None,
        update_values: Mapping[str, str | Column] | None = None,
    ) -> None:
        """Merge by key: insert new rows, and update existing ones unless `update` is False.

        The frame holds one row per key; it is computed once and cached during the merge. Rows whose
        column `is_deleted` is true are removed from the table. `guard` is an SQL condition on
        `source` and `target`: an existing row is changed or removed only if it holds.
        `update_values` maps columns to expressions of that kind, in place of the source's value:
        an existing row gets their values. They are computed from the row as it is when the merge is
        committed, so an update that depends on the stored row belongs there: a frame that was
        computed from the table before would overwrite what other writers have committed since.
        Raises InputError if the frame's columns differ from the declared ones, or if several rows
        have one key.
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
                    update_values=update_values or {},
                ).execute()

            self._commit(table, write)

    def compact(self, table: Table, file_bytes: int, where: str | None = None) -> None:
        """Combine small files into files of up to `file_bytes`.

        `where` is an SQL condition on partition columns that selects the partitions to compact.
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
        delta, version_before = self._delta(table), self.version(table)
        with session_conf(self.spark, VACUUM_CONF):
            delta.vacuum(retention_hours)
        end = commits_since(delta, version_before + 1).where("operation = 'VACUUM END'")
        return int(end.select("operationMetrics.numDeletedFiles").collect()[0][0])

    def _create_with(self, table: Table, rows: DataFrame) -> bool:
        """Create a table with its first rows; return False if another writer created it first.

        The rows overwrite the empty table, because an overwrite conflicts with concurrent writes.
        Two concurrent appends would both succeed, and keys could repeat.
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
        """Run `write` with retries, each time after bringing the table to the declared schema."""

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
