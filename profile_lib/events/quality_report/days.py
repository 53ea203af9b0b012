"""Sum up the counts of batches per source and day."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.events.quality import READ, STATUSES, BatchQuality, Count

DAY_KEY = ("source", "day")


class DayQuality(NamedTuple):
    """The counts of all batches of a source on a day."""

    source: str
    day: date
    n_batches: int
    counts: BatchQuality

    @property
    def n_unaccounted(self) -> int:
        """The rows read less those with a status; anything but 0 is an error."""
        return self.counts.n_read - sum(self.counts.statuses.values())

    def share(self, n_rows: int) -> float:
        """Return the share of the rows read."""
        return n_rows / max(self.counts.n_read, 1)

    def share_of(self, rule: str) -> float:
        """Return the share of the rows that meet or break a rule, by its name."""
        return self.share(next((c.n_rows for c in self.counts.rules if c.name == rule), 0))


class FileCount(NamedTuple):
    """The files of a source that ingestion found on a day, by status."""

    source: str
    day: date
    status: str
    n_files: int
    n_bytes: int


def sum_days(quality: DataFrame) -> DataFrame:
    """Sum rows of `data_quality` per source, day, rule and field.

    Columns: source, day, rule, field, n_rows, n_batches and the example of the largest count.
    """
    example_rows = F.when(F.col("example").isNotNull(), F.col("n_rows"))
    return quality.groupBy(*DAY_KEY, "rule", "field").agg(
        F.sum("n_rows").alias("n_rows"),
        F.count("*").alias("n_batches"),
        F.max_by("example", example_rows).alias("example"),
    )


def sum_files(files: DataFrame) -> DataFrame:
    """Sum rows of `ingested_files` per source, day and status, as fields of FileCount."""
    return files.groupBy("source", F.col("load_date").alias("day"), "status").agg(
        F.count("*").alias("n_files"), F.sum("n_bytes").alias("n_bytes")
    )


def collect_days(rows: Iterable[Row]) -> list[DayQuality]:
    """Build one entry per source and day from the rows of `sum_days`, newest day first."""
    by_day: dict[tuple[str, date], list[Row]] = {}
    for row in rows:
        by_day.setdefault((row["source"], row["day"]), []).append(row)
    return [_collect_day(*key, by_day[key]) for key in sorted(by_day, reverse=True)]


def _collect_day(source: str, day: date, rows: list[Row]) -> DayQuality:
    whole_row = {row["rule"]: row for row in rows if not row["field"]}
    read = whole_row.get(READ)
    statuses = {status: whole_row[status]["n_rows"] for status in STATUSES if status in whole_row}
    rules = [
        Count(row["rule"], row["field"], row["n_rows"], row["example"])
        for row in rows
        if row["field"] or row["rule"] not in (READ, *STATUSES)
    ]
    counts = BatchQuality(read["n_rows"] if read else 0, statuses, tuple(rules))
    return DayQuality(source, day, read["n_batches"] if read else 0, counts)
