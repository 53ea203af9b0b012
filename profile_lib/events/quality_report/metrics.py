"""Turn the report into metrics for Prometheus."""

from datetime import UTC, datetime, time

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from profile_lib.events.quality_report.report import QualityReport, SourceQuality

PREFIX = "clickstream_"
# name → (description, labels after `source`)
METRICS = {
    "rows_read": ("Rows read on the source's latest day", ()),
    "rows": ("Rows of the source's latest day by status", ("status",)),
    "rows_unaccounted": ("Rows read less those with a status, over all days of the report", ()),
    "rule_rows": ("Rows of the source's latest day that a rule is about", ("rule", "field")),
    "files": ("Files that the source's latest day brought, by status", ("status",)),
    "drift_psi": ("PSI of the latest day compared with the same weekday before", ("field",)),
    "latest_day_timestamp_seconds": ("Start of the source's latest day with a batch, UTC", ()),
}


def format_metrics(report: QualityReport) -> str:
    """Return the metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    gauges = {
        name: Gauge(PREFIX + name, description, ("source", *labels), registry=registry)
        for name, (description, labels) in METRICS.items()
    }
    for source in report.sources:
        _set_gauges(gauges, source)
    return generate_latest(registry).decode()


def _set_gauges(gauges: dict[str, Gauge], source: SourceQuality) -> None:
    latest, name = source.latest, source.latest.source
    start = datetime.combine(latest.day, time(), UTC)
    gauges["latest_day_timestamp_seconds"].labels(name).set(start.timestamp())
    gauges["rows_read"].labels(name).set(latest.counts.n_read)
    gauges["rows_unaccounted"].labels(name).set(sum(abs(d.n_unaccounted) for d in source.days))
    for status, n_rows in latest.counts.statuses.items():
        gauges["rows"].labels(name, status).set(n_rows)
    for count in latest.counts.rules:
        gauges["rule_rows"].labels(name, count.rule, count.field).set(count.n_rows)
    for files in source.files:
        if files.day == latest.day:
            gauges["files"].labels(name, files.status).set(files.n_files)
    for drift in source.latest_drifts:
        gauges["drift_psi"].labels(name, drift.field).set(drift.psi)
