"""Decide which files of a table to combine, and report the effect."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.spark.column_shapes import quote_text
from profile_lib.tables import Table

# A partition is fragmented if it has more than this many times the files that its bytes need.
MAX_FILE_RATIO = 1.5
MIB = 2**20
REPORT_HEADER = (
    "table", "files", "after", "MiB", "after", "smallest", "mean", "largest", "removed"
)  # fmt: skip


@dataclass(frozen=True)
class FileLayout:
    """The number and sizes of the files of a partition.

    `partition` is its value, or None if the files are those of a whole table.
    `smallest` and `largest` are sizes of single files in bytes.
    """

    partition: Any
    n_files: int
    n_bytes: int
    smallest: int
    largest: int

    def is_fragmented(self, file_bytes: int) -> bool:
        """Return whether there are too many files for a target size of `file_bytes`."""
        n_needed = -(-self.n_bytes // file_bytes)
        return self.n_files > max(1, MAX_FILE_RATIO * n_needed)


def partition_layouts(table: Table, files: DataFrame) -> list[FileLayout]:
    """Return the layout of each partition in order; one layout if the table has none.

    `files` is the result of `TableReader.files`. One row per partition is collected on the driver.
    """
    (name,) = table.partition_by or (None,)
    key = F.lit(None) if name is None else F.col(name)
    size = F.col("bytes")
    sizes = (F.count(size), F.sum(size), F.min(size), F.max(size))
    rows = files.groupBy(key.alias("partition")).agg(*sizes).orderBy("partition").collect()
    return [FileLayout(*row) for row in rows]


def combine_layouts(layouts: Sequence[FileLayout]) -> FileLayout:
    """Return the layout of all files of these partitions together.

    >>> combine_layouts([FileLayout("a", 1, 5, 5, 5), FileLayout("b", 2, 3, 1, 2)])
    FileLayout(partition=None, n_files=3, n_bytes=8, smallest=1, largest=5)
    """
    return FileLayout(
        None,
        sum(layout.n_files for layout in layouts),
        sum(layout.n_bytes for layout in layouts),
        min((layout.smallest for layout in layouts), default=0),
        max((layout.largest for layout in layouts), default=0),
    )


def group_layouts(layouts: Sequence[FileLayout], max_bytes: int) -> Iterator[list[FileLayout]]:
    """Yield groups of neighbouring partitions with at most `max_bytes` in all.

    A larger partition forms its own group.
    """
    group: list[FileLayout] = []
    for layout in layouts:
        if group and combine_layouts([*group, layout]).n_bytes > max_bytes:
            yield group
            group = []
        group.append(layout)
    if group:
        yield group


def partition_condition(table: Table, group: Sequence[FileLayout]) -> str | None:
    """Return the SQL condition that selects these partitions; None if the table has none."""
    if not table.partition_by:
        return None
    name, values = table.partition_by[0], [layout.partition for layout in group]
    literals = [quote_text(str(value)) for value in values if value is not None]
    conditions = [f"{name} IN ({', '.join(literals)})"] if literals else []
    return " OR ".join(conditions + [f"{name} IS NULL"] * (None in values))


@dataclass(frozen=True)
class MaintenanceResult:
    """The files of one table before and after its maintenance; all sizes are in bytes.

    `smallest`, `mean` and `largest` are sizes of single files after it.
    """

    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    smallest: int
    mean: int
    largest: int
    files_removed: int  # files of earlier versions, removed from disk


def summarise_maintenance(
    table: Table, before: FileLayout, after: FileLayout, n_removed: int
) -> MaintenanceResult:
    """Compare the files of one table before and after its maintenance."""
    mean = after.n_bytes // max(1, after.n_files)
    sizes = (before.n_bytes, after.n_bytes, after.smallest, mean, after.largest)
    return MaintenanceResult(table.name, before.n_files, after.n_files, *sizes, n_removed)


def format_report(results: Sequence[MaintenanceResult]) -> str:
    """Format the results of all tables as one text table, with sizes in MiB."""
    lines = [REPORT_HEADER]
    for result in results:
        name, n_before, n_after, *sizes, n_removed = astuple(result)
        mib = (f"{size / MIB:,.3f}" for size in sizes)
        lines.append((name, f"{n_before:,}", f"{n_after:,}", *mib, f"{n_removed:,}"))
    return "\n".join(
        f"{name:<22}{before:>8}{after:>8}" + "".join(f"{cell:>12}" for cell in cells)
        for name, before, after, *cells in lines
    )
