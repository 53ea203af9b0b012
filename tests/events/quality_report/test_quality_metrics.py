"""Prometheus's own parser reads the metrics back."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from profile_lib.events.quality_report.metrics import format_metrics
from profile_lib.events.quality_report.report import build_report
from tests.quality_world import FIRST, LAST, LIMITS, day, read_metrics, small_report


def test_each_metric_has_the_values_of_the_latest_day():
    midnight = datetime(2026, 2, 2, tzinfo=UTC).timestamp()
    assert read_metrics(format_metrics(small_report())) == {
        "clickstream_rows_read": {("shop",): 1000, ("app",): 9000},
        "clickstream_rows": {
            ("shop", "kept"): 880,
            ("shop", "rejected"): 60,
            ("shop", "left_out"): 30,
            ("shop", "duplicate"): 20,
            ("shop", "known"): 10,
            ("app", "kept"): 9000,
        },
        "clickstream_rows_unaccounted": {("shop",): 0, ("app",): 0},
        "clickstream_rule_rows": {
            ("shop", "missing", "user_id"): 35,
            ("shop", "not_a_number", "price"): 25,
            ("shop", "not_mapped", "event_type"): 5,
            ("shop", "user_agent", "bot"): 20,
        },
        "clickstream_files": {("shop", "copy"): 2, ("shop", "read"): 4},
        "clickstream_drift_psi": {("shop", "category"): 0.31, ("shop", "language"): 0.04},
        "clickstream_latest_day_timestamp_seconds": {("shop",): midnight, ("app",): midnight},
    }


def test_labels_are_named_and_escaped():
    days = [day('a "shop"\n', 0, 7, {"kept": 4})]
    text = format_metrics(build_report(FIRST, LAST, LIMITS, days, [], []))
    (family,) = [f for f in text_string_to_metric_families(text) if f.name == "clickstream_rows"]
    (sample,) = family.samples
    assert sample.labels == {"source": 'a "shop"\n', "status": "kept"}
    assert family.type == "gauge"
    assert read_metrics(text)["clickstream_rows_unaccounted"] == {('a "shop"\n',): 3}
