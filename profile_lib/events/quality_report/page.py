"""Render the report as one HTML page that needs no other file."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from profile_lib.events.quality import STATUSES
from profile_lib.events.quality_report.report import QualityReport

TEMPLATE = "page.html"
TREND_WIDTH, TREND_HEIGHT = 100, 20
MIB = 2**20


def render_page(report: QualityReport) -> str:
    """Render the page: problems first, then each source, those with problems first."""
    loader = PackageLoader("profile_lib.events.quality_report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "rows": lambda n: f"{n:,.0f}",
        "percent": lambda share: f"{share:.2%}",
        "mib": lambda n_bytes: f"{n_bytes / MIB:,.1f}",
        "points": trend_points,
        "words": lambda name: name.replace("_", " "),
    }
    return environment.get_template(TEMPLATE).render(report=report, statuses=STATUSES)


def trend_points(values: Sequence[float]) -> str:
    """Return the points of a line, left to right, whose highest value touches the top.

    >>> trend_points([0.0, 0.1, 0.2])
    '0,20 50,10 100,0'
    >>> trend_points([0.0])
    '0,20 100,20'
    """
    line = [*values] if len(values) > 1 else [*values, *values]
    step, top = TREND_WIDTH / (len(line) - 1), max(*line, 1e-9)
    return " ".join(
        f"{n * step:.3g},{TREND_HEIGHT * (1 - value / top):.3g}" for n, value in enumerate(line)
    )
