"""The files of a table in, which to write together out; and a report of what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import Table

MAX_FILE_RATIO = 1.5  # as many times the files that the bytes need are too many
MIB = 2**20


@dataclass(frozen=True)
class FileLayout:
    """Files of a partition, told by its value, or of a whole table; sizes in bytes."""

    partition: Any
    n_files: int
    n_bytes: int
    smallest: int
    largest: int

    def is_fragmented(self, file_bytes: int) -> bool:
        """Whether there are half as many more files than files of `file_bytes` would be."""
        needed = -(-self.n_bytes // file_bytes)
        return self.n_files > max(1, MAX_FILE_RATIO * needed)


def partition_layouts(table: Table, files: DataFrame) -> list[FileLayout]:
    """Of each partition, in order, or of a table without partitions; `files` as Store gives them.

    One row a partition comes to the driver, none a file.
    """
    (name,) = table.partition_by or (None,)
    key = F.lit(None) if name is None else F.col(name)
    size = F.col("bytes")
    sizes = (F.count(size), F.sum(size), F.min(size), F.max(size))
    rows = files.groupBy(key.alias("partition")).agg(*sizes).orderBy("partition").collect()
    return [FileLayout(*row) for row in rows]


def combine_layouts(parts: Sequence[FileLayout]) -> FileLayout:
    """The layout of a table whose partitions have these."""
    return FileLayout(
        None,
        sum(part.n_files for part in parts),
        sum(part.n_bytes for part in parts),
        min((part.smallest for part in parts), default=0),
        max((part.largest for part in parts), default=0),
    )


def group_layouts(parts: Sequence[FileLayout], max_bytes: int) -> Iterator[list[FileLayout]]:
    """Neighbours together, as many as `max_bytes` hold, at least one."""
    group: list[FileLayout] = []
    for part in parts:
        if group and combine_layouts([*group, part]).n_bytes > max_bytes:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def partition_condition(table: Table, group: Sequence[FileLayout]) -> str | None:
    """What selects these partitions; None where the table has none."""
    if not table.partition_by:
        return None
    values = ", ".join(f"'{part.partition}'" for part in group)
    return f"{table.partition_by[0]} IN ({values})"


@dataclass(frozen=True)
class MaintenanceResult:
    """What the maintenance of a table came to; sizes in bytes."""

    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    smallest: int
    mean: int
    largest: int
    files_removed: int  # of earlier versions, from disk


def summarise_maintenance(
    table: Table, before: FileLayout, after: FileLayout, n_removed: int
) -> MaintenanceResult:
    """The table's line of the report."""
    mean = after.n_bytes // max(1, after.n_files)
    sizes = (before.n_bytes, after.n_bytes, after.smallest, mean, after.largest)
    return MaintenanceResult(table.name, before.n_files, after.n_files, *sizes, n_removed)


def format_report(done: Sequence[MaintenanceResult]) -> str:
    """All lines as one table that a person can read, sizes in MiB."""
    lines = [("table", "files", "then", "MiB", "then", "smallest", "mean", "largest", "removed")]
    for each in done:
        name, files, then, *sizes, removed = astuple(each)
        mib = (f"{size / MIB:,.3f}" for size in sizes)
        lines.append((name, f"{files:,}", f"{then:,}", *mib, f"{removed:,}"))
    return "\n".join(
        f"{name:<22}{files:>8}{then:>8}" + "".join(f"{size:>12}" for size in rest)
        for name, files, then, *rest in lines
    )
