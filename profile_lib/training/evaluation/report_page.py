"""Render a report as one HTML page that needs no other file."""

import html
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profile_lib.training.evaluation.intervals import name_lead
from profile_lib.training.evaluation.ranking_report import TOP_K

Entry = Mapping[str, Any]
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}svg{max-width:49%;"
    "height:auto}small{color:#555}"
)
COLOURS = {
    "model": "#0b62a4",
    "network": "#7fb2d9",
    "gradient_boosting": "#d1701c",
    "logistic_regression": "#999999",
    "numbers_alone": "#444444",
}
CURVE_AXES = {
    "roc": ("false positive rate", "true positive rate"),
    "precision_recall": ("recall", "precision"),
}


def render_report_page(
    name: str, report: Entry, curve: Sequence[float], epochs: Sequence[Mapping[str, Any]]
) -> str:
    """Render a page with a model's report and the course of its training.

    `report` is the content of report.json, `curve` the loss of every step, and `epochs` the
    validation metrics of every epoch.
    """
    tables = ", ".join(f"{table} version {n}" for table, n in report["data"]["tables"].items())
    parts = [f"<h1>{html.escape(name)}</h1><p>Trained and tested on {html.escape(tables)}.</p>"]
    for task, entry in report["tasks"].items():
        parts.append(_render_task(task, entry))
    if report.get("ablation"):
        parts.append("<h2>Ablation</h2>" + _render_ablation(report["ablation"]))
    parts.append(
        "<h2>Training</h2>" + _render_svg("loss of every step", lambda ax: _draw_loss(ax, curve))
    )
    parts.append(_render_svg("validation", lambda ax: _draw_validation(ax, epochs)))
    head = f"<meta charset='utf-8'><title>{html.escape(name)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>"


def _render_task(task: str, entry: Entry) -> str:
    positives = f", {entry['positives']:,} positive" if "positives" in entry else ""
    metrics = list(entry.get("model", ()))
    parts = [
        f"<h2>{html.escape(task)}</h2><p>{entry['n']:,} test rows{positives}</p>",
        _render_methods(entry, metrics),
    ]
    if "by_request" in entry:
        parts.append(_render_requests(entry["by_request"]))
    for column, values in entry.get("segments", {}).items():
        parts.append(_render_segments(column, values, metrics))
    if "curves" in entry:
        for kind in CURVE_AXES:
            draw = partial(_draw_curves, curves=entry["curves"], kind=kind)
            parts.append(_render_svg(kind.replace("_", " "), draw))
        parts.append(
            _render_svg("calibration", lambda ax: _draw_calibration(ax, entry["calibration"]))
        )
    return "".join(parts)


def _render_methods(entry: Entry, metrics: Sequence[str]) -> str:
    """Render a row per method, and the model's lead over each of the others."""
    methods = [
        name for name, value in entry.items() if isinstance(value, dict) and [*value] == [*metrics]
    ]
    intervals = entry.get("intervals", {})
    rows = [
        [name, *(_format_cell(entry[name][m], intervals.get(name, {}).get(m)) for m in metrics)]
        for name in methods
    ]
    for lead in (name_lead(name) for name in methods):
        if lead in intervals:
            rows.append([lead, *(_format_cell(None, intervals[lead].get(m)) for m in metrics)])
    return _render_table(["", *metrics], rows)


def _render_segments(column: str, values: Entry, metrics: Sequence[str]) -> str:
    rows = [
        [
            value,
            f"{entry['n']:,}",
            f"{entry['positives']:,}" if "positives" in entry else "–",
            *(_format_cell(entry["model"][m], entry["intervals"].get(m)) for m in metrics),
        ]
        for value, entry in values.items()
    ]
    return _render_table([column, "rows", "positive", *metrics], rows)


def _render_requests(report: Entry) -> str:
    methods = {name: entry for name, entry in report.items() if isinstance(entry, dict)}
    names = list(next(iter(methods.values()), ()))
    rows = [
        [name, *(_format_cell(entry[metric], None) for metric in names)]
        for name, entry in methods.items()
    ]
    lead = report.get("lead")
    tail = f" The model's NDCG leads by {lead[0]:.4f} to {lead[1]:.4f}." if lead else ""
    head = f"<p>Order within {report['n']:,} requests, of the first {TOP_K}.{html.escape(tail)}</p>"
    return head + _render_table(["", *names], rows)


def _render_ablation(ablation: Mapping[str, Entry]) -> str:
    first, parts = next(iter(ablation.values())), []
    for task in first:
        metrics = list(first[task])
        rows = [
            [variant, *(_format_cell(tasks[task][m], None) for m in metrics)]
            for variant, tasks in ablation.items()
        ]
        parts.append(_render_table([task, *metrics], rows))
    return "".join(parts)


def _format_cell(value: float | None, interval: Sequence[float] | None) -> str:
    cell = "" if value is None else f"{value:.4f}"
    if interval is not None:
        bounds = f"{interval[0]:+.4f} to {interval[1]:+.4f}"
        cell += f" <small>{bounds}</small>".replace("+0.", "0.")
    return cell or "–"


def _render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
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


def _draw_curves(axes: Axes, curves: Entry, kind: str) -> None:
    for name, points in curves.items():
        x, y = zip(*points[kind], strict=True)
        axes.plot(x, y, label=name.replace("_", " "), color=COLOURS.get(name))
    axes.set(xlabel=CURVE_AXES[kind][0], ylabel=CURVE_AXES[kind][1])
    axes.legend()


def _draw_calibration(axes: Axes, bins: Sequence[Mapping[str, float]]) -> None:
    predicted, observed = [b["probability"] for b in bins], [b["share"] for b in bins]
    top = max(*predicted, *observed, 1e-6)
    axes.plot([0, top], [0, top], color="#999999")
    axes.plot(predicted, observed, "o-", color=COLOURS["model"])
    axes.set(xlabel="predicted probability", ylabel="observed share")


def _draw_loss(axes: Axes, curve: Sequence[float]) -> None:
    axes.plot(range(1, len(curve) + 1), curve, linewidth=0.8, color=COLOURS["model"])
    axes.set(xlabel="step")


def _draw_validation(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    for name in epochs[0]["validation"] if epochs else ():
        values = [epoch["validation"].get(name) for epoch in epochs]
        axes.plot(range(1, len(values) + 1), values, "o-", label=name)
    axes.set(xlabel="epoch")
    if epochs:
        axes.legend()
