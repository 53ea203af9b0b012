"""Write the report on data quality: a page for people and metrics for Prometheus."""

import logging
from datetime import date, datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.config.quality import QualitySettings
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.daily_values import DAY_KEY, keep_frequent_values
from profile_lib.events.quality_report.days import (
    FileCount,
    collect_days,
    sum_days,
    sum_files,
)
from profile_lib.events.quality_report.drift import N_WEEKS, Drift, measure_drift
from profile_lib.events.quality_report.metrics import format_metrics
from profile_lib.events.quality_report.page import render_page
from profile_lib.events.quality_report.report import Limits, QualityReport, build_report
from profile_lib.files import write_text_atomically
from profile_lib.tables import DAILY_VALUE_COUNTS, DATA_QUALITY, INGESTED_FILES

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, *, now: datetime) -> None:
    """Write the report, and check that every row that was read has a status.

    Raises InputError, after the report is written, if a row has none; also if the settings name no
    file to write, or nothing has been ingested.
    """
    if settings.quality.report is None and settings.quality.metrics is None:
        raise InputError(
            "quality.report and quality.metrics: both null, wanted the path of the page or of the "
            "metrics"
        )
    report = write_quality_report(store, settings, now.date())
    if report is None:
        raise InputError(
            f"data_quality: no rows at {store.path(DATA_QUALITY)}; run jobs/ingest_events.py first"
        )
    if mismatches := report.problems_of("error"):
        first = mismatches[0]
        raise InputError(
            f"data_quality: {len(mismatches)} days do not add up, the latest {first.source} on "
            f"{first.day}: {first.text}; the table was changed by another program than ingestion; "
            "restore an earlier version of it"
        )


def write_quality_report(store: Store, settings: Settings, today: date) -> QualityReport | None:
    """Write the page and the metrics that the settings want, and log the latest drifts.

    Reads sums of small tables, no events. `today` and later days are not compared with others,
    because most of their events are still to come. Returns None, and writes nothing, if the
    settings want neither file or if nothing has been ingested.
    """
    quality = settings.quality
    if quality.report is None and quality.metrics is None:
        return None
    report = build_quality_report(store, quality, settings.ingest, today)
    if report is None:
        return None
    texts = {"report": (quality.report, render_page), "metrics": (quality.metrics, format_metrics)}
    for name, (path, render) in texts.items():
        if path is not None:
            _write(f"quality.{name}", path, render(report))
    _log_report(report, quality.report or str(quality.metrics))
    return report


def _write(setting: str, path: str, text: str) -> None:
    """Write a file. Raises InputError, which names the setting, if that is not possible."""
    try:
        write_text_atomically(Path(path), text)
    except OSError as error:
        raise InputError(
            f"{setting}: {path} cannot be written ({error.strerror}); wanted a path that this "
            "process can write, or null for no file"
        ) from error


def build_quality_report(
    store: Store, quality: QualitySettings, ingest: IngestSettings, today: date
) -> QualityReport | None:
    """Build the report on the last `quality.days` days; None if nothing has been ingested."""
    if not store.exists(DATA_QUALITY):
        return None
    counts = store.read(DATA_QUALITY)
    last_day = _last_day(counts)
    if last_day is None:
        return None
    first_day = last_day - timedelta(days=quality.days - 1)
    days = collect_days(sum_days(counts.where(F.col("day") >= first_day)).collect())
    files = store.read_or_empty(INGESTED_FILES).where(F.col("load_date") >= first_day)
    file_counts = [FileCount(**row.asDict()) for row in sum_files(files).collect()]
    limits = Limits(
        ingest.max_shares, ingest.max_rejected_share, quality.warn_psi, quality.alarm_psi
    )
    drifts = _measure_drifts(store, quality, today)
    return build_report(first_day, last_day, limits, days, file_counts, drifts)


def _measure_drifts(store: Store, quality: QualitySettings, today: date) -> list[Drift]:
    """Compare the last `quality.days` days before today that have events with earlier days."""
    counts = store.read_or_empty(DAILY_VALUE_COUNTS).where(F.col("day") < today)
    last_day = _last_day(counts)
    if last_day is None:
        return []
    first_day = last_day - timedelta(days=quality.days - 1)
    recent = counts.where(F.col("day") >= first_day - timedelta(weeks=N_WEEKS))
    by_day = recent.groupBy(*DAY_KEY, "value").agg(F.sum("n_rows").alias("n_rows"))
    values = keep_frequent_values(by_day).toPandas()
    return [d for d in measure_drift(values, quality.min_rows) if d.day >= first_day]


def _last_day(frame: DataFrame) -> date | None:
    return frame.agg(F.max("day")).collect()[0][0]


def _log_report(report: QualityReport, path: str) -> None:
    """Log the days that do not add up, and each source's latest drifts."""
    for problem in report.problems_of("error"):
        log.error(f"{problem.source} on {problem.day}: {problem.text}")
    for source in report.sources:
        for drift in source.latest_drifts:
            if (level := report.limits.drift_level(drift.psi)) is not None:
                log.warning(f"{level}: {drift.source} on {drift.day}: {drift.describe()}")
    log.info(f"data quality: {len(report.problems)} problems; see {path}")
