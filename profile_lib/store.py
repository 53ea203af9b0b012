"""The only code that touches tables: reads, replaces and merges the declared Delta tables."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.migration import as_declared, create, mend
from profile_lib.tables import Table

IS_DELETED = "is_deleted"  # a boolean column of an upsert's source: True takes the row out


class Store:
    """The declared tables as Delta folders under one root path."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root.rstrip("/") if ":" in root else str(Path(root).absolute())

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
        now = self._delta(table).toDF()
        frame = now if version is None else self._at(table, version)
        return as_declared(frame, table, self.path(table))

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

    def replace(self, table: Table, frame: DataFrame, where: str | None = None) -> None:
        """Put `frame` in place of the rows that `where` selects, or of all; whole or not at all.

        A table of an older shape that is replaced whole gets the declared one. Raises InputError
        where the frame breaks the table's contract.
        """
        writer = table.conform(frame).write.format("delta").mode("overwrite")
        with self._anew(table) if where is None else nullcontext():
            self._prepare(table)
            if where is not None:
                writer = writer.option("replaceWhere", where)
            with _Told(table):
                writer.save(self.path(table))

    def append(self, table: Table, frame: DataFrame) -> None:
        """Add rows whose keys are known to be new."""
        writer = table.conform(frame).write.format("delta").mode("append")
        self._prepare(table)
        with _Told(table):
            writer.save(self.path(table))

    def upsert(
        self, table: Table, frame: DataFrame, update: bool = True, prune: str | None = None
    ) -> None:
        """MERGE by key: new rows in, rows that are there updated (unless `update` is False).

        Rows of the source whose column `is_deleted` is true are taken out. The partition columns
        stand in the condition, so that only the files of the source's partitions are read; with
        `prune`, a condition on `target`, files beyond that are skipped as well. The source must
        hold one row a key. Raises InputError where the frame breaks the contract.
        """
        deletes = IS_DELETED in frame.columns
        conformed = table.conform(frame.drop(IS_DELETED))
        if not self.exists(table):  # nothing to compare with
            kept = frame.where(f"NOT {IS_DELETED}").drop(IS_DELETED) if deletes else conformed
            self.append(table, kept)
            return
        self._prepare(table)
        source = frame.select(*table.names(), IS_DELETED) if deletes else conformed
        on = [f"target.{c} = source.{c}" for c in (*table.partition_by, *table.key)]
        if prune is not None:
            on.append(prune)
        values = {c: f"source.{c}" for c in table.names()}
        merge = self._delta(table).alias("target").merge(source.alias("source"), " AND ".join(on))
        if deletes:
            merge = merge.whenMatchedDelete(f"source.{IS_DELETED}")
        if update:
            merge = merge.whenMatchedUpdate(set=values)
        merge = merge.whenNotMatchedInsert(
            condition=f"NOT source.{IS_DELETED}" if deletes else None, values=values
        )
        with _Told(table):
            merge.execute()

    def _delta(self, table: Table):  # type: ignore[no-untyped-def]  # delta has no stubs here
        from delta.tables import DeltaTable

        if not self.exists(table):
            raise InputError(
                f"{table.name}: no table at {self.path(table)}; run the job that writes it first"
            )
        return DeltaTable.forPath(self.spark, self.path(table))

    def _at(self, table: Table, version: int) -> DataFrame:
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        try:
            return reader.load(self.path(table))
        except AnalysisException as error:
            kept = self._delta(table).history().agg(F.min("version"), F.max("version")).collect()
            raise InputError(
                f"{table.name}: no version {version}, kept are {kept[0][0]} to {kept[0][1]}"
            ) from error

    @contextmanager
    def _anew(self, table: Table) -> Iterator[None]:
        """A table that cannot be mended is made anew, and is the old one where the body fails."""
        if not self.exists(table) or self._is_mendable(table):
            yield
            return
        before = self.version(table)
        create(self.spark, table, self.path(table), is_anew=True)
        try:
            yield
        except BaseException:
            self._delta(table).restoreToVersion(before)
            raise

    def _is_mendable(self, table: Table) -> bool:
        try:
            self.read(table)
        except InputError:
            return False
        return True

    def _prepare(self, table: Table) -> None:
        """Have a table of the declared shape before a write."""
        if self.exists(table):
            found = self._delta(table).toDF().schema
            mend(self.spark, table, self.path(table), found)
        else:
            create(self.spark, table, self.path(table))


class _Told:
    """Turns Delta's refusals of a write into one sentence; every other error passes as it is."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        text = str(error)  # a refusal in a task arrives as Py4J's error, one in planning as Spark's
        if "NOT_NULL_CONSTRAINT" in text:
            line = next(part for part in text.splitlines() if "NOT_NULL_CONSTRAINT" in part)
            raise InputError(f"{self.table.name}: null in a required column: {line}") from error
        if "MULTIPLE_SOURCE_ROW" in text:
            raise InputError(
                f"{self.table.name}: several rows for one {', '.join(self.table.key)} in one write"
            ) from error


def user_bucket(n_buckets: int):  # type: ignore[no-untyped-def]
    """Column: the hash bucket of `user_id`, from 0 to `n_buckets` - 1."""
    return F.pmod(F.xxhash64("user_id"), F.lit(n_buckets)).cast("int")
