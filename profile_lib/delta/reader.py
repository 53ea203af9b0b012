"""Read the declared Delta tables: rows, versions, changes and files."""

from datetime import datetime
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
from profile_lib.delta.file_list import list_live_files
from profile_lib.delta.schema_evolution import select_declared_columns
from profile_lib.errors import InputError
from profile_lib.spark.timestamps import from_micros
from profile_lib.tables import Table


class TableReader:
    """Read access to the declared tables, which are Delta folders.

    Tables that declare the root `identity` are under `identity_root`, all others under `root`.
    Without an `identity_root` that is the sibling of `root` whose name ends in `_identity`, so that
    two stores never share it by chance.
    """

    def __init__(self, spark: SparkSession, root: str, identity_root: str | None = None) -> None:
        self.spark = spark
        self.root = _absolute(root)
        self.identity_root = _absolute(identity_root or f"{self.root}_identity")

    def path(self, table: Table) -> str:
        """Return the path of the table."""
        root = self.identity_root if table.root == "identity" else self.root
        return f"{root}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Return whether the table has been created."""
        from delta.tables import DeltaTable

        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Read the table's latest version, or an earlier one.

        Optional columns that it lacks are null. Raises InputError if the table does not exist, if
        its columns differ from the declared ones, or if the version has been removed.
        """
        frame = self._delta(table).toDF() if version is None else self._read_version(table, version)
        return select_declared_columns(frame, table, self.path(table))

    def read_or_empty(self, table: Table) -> DataFrame:
        """Read the table's latest version; return an empty frame if it does not exist."""
        if self.exists(table):
            return self.read(table)
        return self.spark.createDataFrame([], table.schema)

    def version(self, table: Table) -> int:
        """Return the table's latest version: the number of its last commit."""
        history = self._delta(table).history(1).select("version").first()
        assert history is not None
        return int(history["version"])

    def table_id(self, table: Table) -> str:
        """Return the Delta table id, which changes if the table is created again."""
        return str(self._delta(table).detail().select("id").collect()[0][0])

    def commit_time(self, table: Table, version: int) -> datetime:
        """Return the time, in UTC, at which a version was committed."""
        commits = commits_since(self._delta(table), version).where(F.col("version") == version)
        micros = commits.select(F.unix_micros("timestamp")).collect()[0][0]
        return from_micros(micros)

    def changes(
        self, table: Table, after_version: int, until_version: int | None = None
    ) -> DataFrame | None:
        """Read the rows changed after a version, up to `until_version` or the latest.

        Rows have the declared columns and CHANGE_COLUMNS. Returns None if the change feed does not
        reach back that far, or if the table never had this version; the caller then has to read
        the whole table.
        """
        last_version = self.version(table) if until_version is None else until_version
        if after_version > last_version:
            return None
        path = self.path(table)
        if after_version == last_version:
            return empty_change_feed(self.read(table))
        feed = read_changes(self.spark, path, after_version + 1, last_version)
        return None if feed is None else select_declared_columns(feed, table, path, *CHANGE_COLUMNS)

    def files(self, table: Table) -> DataFrame:
        """Return one row per file of the latest version: partition columns and `bytes`."""
        types = {c.name: c.type for c in table.columns}
        listed = list_live_files(self.spark, self.path(table), self.version(table))
        if listed is None:  # every row names its file
            path, size = F.col("_metadata.file_path"), F.col("_metadata.file_size")
            rows = self._delta(table).toDF()
            files = rows.select(*table.partition_by, path.alias("path"), size.alias("bytes"))
            return files.distinct().drop("path")
        values = [
            F.col("partitionValues")[name].cast(types[name]).alias(name)
            for name in table.partition_by
        ]
        return listed.select(*values, F.col("size").alias("bytes"))

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
                f"{table.name}: no version {version}; the versions kept are {first} to {last}"
            ) from error


def _absolute(root: str) -> str:
    return root.rstrip("/") if ":" in root else str(Path(root).absolute())
