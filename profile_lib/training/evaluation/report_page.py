"""A report in, one HTML page that needs no other file out: tables, and curves drawn as SVG."""

import html
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profile_lib.training.evaluation.ranking_report import TOP_K

Report = Mapping[str, Any]
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}svg{max-width:49%;"
    "height:auto}small{color:#555}"
)
COLOURS = {"model": "#0b62a4", "logistic_regression": "#999999", "gradient_boosting": "#d1701c"}


def render_report_page(
    name: str, report: Report, curve: Sequence[float], epochs: Sequence[Mapping[str, Any]]
) -> str:
    """The page of a model's report.json and of how its training went."""
    tables = ", ".join(f"{table} version {n}" for table, n in report["data"]["tables"].items())
    parts = [f"<h1>{html.escape(name)}</h1><p>Trained and tested on {html.escape(tables)}.</p>"]
    for task, entry in report["tasks"].items():
        parts.append(_task(task, entry))
    if report.get("ablation"):
        parts.append("<h2>Ablation</h2>" + _ablation(report["ablation"]))
    parts.append(
        "<h2>Training</h2>" + _render_svg("loss of every step", lambda ax: _loss(ax, curve))
    )
    parts.append(_render_svg("validation", lambda ax: _validation(ax, epochs)))
    head = f"<meta charset='utf-8'><title>{html.escape(name)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>"


def _task(task: str, entry: Report) -> str:
    positives = f", {entry['positives']:,} positive" if "positives" in entry else ""
    parts = [f"<h2>{html.escape(task)}</h2><p>{entry['n']:,} test rows{positives}</p>"]
    measures = list(entry.get("model", ()))
    methods = [w for w, v in entry.items() if isinstance(v, dict) and list(v) == measures]
    bounds = entry.get("intervals", {})
    rows = [
        [way, *(_format_cell(entry[way][m], bounds.get(way, {}).get(m)) for m in measures)]
        for way in methods
    ]
    if "lead" in bounds:
        lead = [_format_cell(None, bounds["lead"].get(m)) for m in measures]
        rows.append([f"model less {methods[-1]}", *lead])
    parts.append(_table(["", *measures], rows))
    if "by_request" in entry:
        parts.append(_by_request(entry["by_request"]))
    for column, values in entry.get("segments", {}).items():
        rows = [
            [value, f"{of['n']:,}", f"{of['positives']:,}" if "positives" in of else "–",
             *(_format_cell(of["model"][m], of["intervals"].get(m)) for m in measures)]
            for value, of in values.items()
        ]  # fmt: skip
        parts.append(_table([column, "rows", "positive", *measures], rows))
    if "curves" in entry:
        curves = entry["curves"]
        for kind, axes in (
            ("roc", ("false positive rate", "true positive rate")),
            ("precision_recall", ("recall", "precision")),
        ):
            parts.append(
                _render_svg(
                    kind.replace("_", " "), partial(_curves, curves=curves, kind=kind, names=axes)
                )
            )
        parts.append(_render_svg("calibration", lambda ax: _calibration(ax, entry["calibration"])))
    return "".join(parts)


def _by_request(told: Report) -> str:
    methods = [(way, found) for way, found in told.items() if isinstance(found, dict)]
    names = list(methods[0][1]) if methods else []
    rows = [[way, *(_format_cell(found[name], None) for name in names)] for way, found in methods]
    lead = told.get("lead")
    tail = f" The model's NDCG leads by {lead[0]:.4f} to {lead[1]:.4f}." if lead else ""
    head = f"<p>Order within {told['n']:,} requests, of the first {TOP_K}.{html.escape(tail)}</p>"
    return head + _table(["", *names], rows)


def _ablation(ablation: Mapping[str, Report]) -> str:
    parts = []
    for task in next(iter(ablation.values())):
        measures = list(next(iter(ablation.values()))[task])
        rows = [
            [variant, *(_format_cell(tasks[task][m], None) for m in measures)]
            for variant, tasks in ablation.items()
        ]
        parts.append(_table([task, *measures], rows))
    return "".join(parts)


def _format_cell(value: float | None, bounds: Sequence[float] | None) -> str:
    told = "" if value is None else f"{value:.4f}"
    if bounds is not None:
        told += f" <small>{bounds[0]:+.4f} to {bounds[1]:+.4f}</small>".replace("+0.", "0.")
    return told or "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)
    body = "".join(
        f"<tr><td>{html.escape(str(first))}</td>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _render_svg(title: str, draw: Callable[[Axes], None]) -> str:
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot(title=title)
    draw(axes)
    image = io.StringIO()
    figure.savefig(image, format="svg", metadata={"Date": None})
    text = image.getvalue()
    return text[text.index("<svg") :]


def _curves(axes: Axes, curves: Report, kind: str, names: tuple[str, str]) -> None:
    for way, drawn in curves.items():
        x, y = zip(*drawn[kind], strict=True)
        axes.plot(x, y, label=way.replace("_", " "), color=COLOURS.get(way))
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.legend()


def _calibration(axes: Axes, bins: Sequence[Mapping[str, float]]) -> None:
    said, came = [b["probability"] for b in bins], [b["share"] for b in bins]
    top = max(*said, *came, 1e-6)
    axes.plot([0, top], [0, top], color="#999999")
    axes.plot(said, came, "o-", color=COLOURS["model"])
    axes.set(xlabel="probability said", ylabel="share that came true")


def _loss(axes: Axes, curve: Sequence[float]) -> None:
    axes.plot(range(1, len(curve) + 1), curve, linewidth=0.8, color=COLOURS["model"])
    axes.set(xlabel="step")


def _validation(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    for name in epochs[0]["validation"] if epochs else ():
        values = [epoch["validation"].get(name) for epoch in epochs]
        axes.plot(range(1, len(values) + 1), values, "o-", label=name)
    axes.set(xlabel="epoch")
    if epochs:
        axes.legend()
