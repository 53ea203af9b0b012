"""Build a report with known answers: two sources, a rule above its limit, and a drift."""

from datetime import date, timedelta

from prometheus_client.parser import text_string_to_metric_families

from profile_lib.events.quality import BatchQuality, Count
from profile_lib.events.quality_report.days import DayQuality, FileCount
from profile_lib.events.quality_report.drift import Drift, Move
from profile_lib.events.quality_report.report import Limits, QualityReport, build_report

LAST = date(2026, 2, 2)
FIRST = LAST - timedelta(days=29)
LIMITS = Limits({"price:not_a_number": 0.02}, 0.05, 0.1, 0.25)
LABELS = ("source", "status", "rule", "field")
STATUSES = {"kept": 880, "rejected": 60, "left_out": 30, "duplicate": 20, "known": 10}
RULES = (
    Count("missing", "user_id", 35, None),
    Count("not_a_number", "price", 25, "a: 9,9"),
    Count("not_mapped", "event_type", 5, "<b>wish</b>"),
    Count("user_agent", "bot", 20, None),
)


def day(source: str, days_ago: int, n_read: int, statuses: dict, rules=()) -> DayQuality:
    counts = BatchQuality(n_read, statuses, tuple(rules))
    return DayQuality(source, LAST - timedelta(days=days_ago), 1, counts)


def drift(source: str, days_ago: int, field: str, psi: float, *moves: Move) -> Drift:
    return Drift(source, LAST - timedelta(days=days_ago), field, psi, 1200, 1100.0, 4, moves)


def small_report() -> QualityReport:
    """Return the report of `shop`, which has problems, and `app`, which is larger and has none."""
    days = [
        day("shop", 1, 500, {"kept": 500}, [Count("not_a_number", "price", 5, None)]),
        day("app", 0, 9000, {"kept": 9000}),
        day("shop", 0, 1000, STATUSES, RULES),
    ]
    files = [
        FileCount("shop", LAST - timedelta(days=1), "read", 1, 2**20),
        FileCount("shop", LAST, "copy", 2, 3 * 2**19),
        FileCount("shop", LAST, "read", 4, 2**22),
    ]
    drifts = [
        drift("shop", 0, "language", 0.04, Move("en", 0.5, 0.6)),
        drift("shop", 7, "category", 0.12, Move("shirts", 0.2, 0.3)),
        drift("shop", 0, "category", 0.31, Move("shirts", 0.2, 0.0), Move("cups", 0.1, 0.3)),
    ]
    return build_report(FIRST, LAST, LIMITS, days, files, drifts)


def read_metrics(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Parse metrics in Prometheus's text format: name → values of LABELS → value."""
    return {
        family.name: {
            tuple(sample.labels[name] for name in LABELS if name in sample.labels): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
    }
