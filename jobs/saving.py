"""What the jobs that train leave: a model's folder with its report, and a record of how it came."""

import json
from pathlib import Path
from typing import Any

from jobs.fitting import Fitted
from profile_lib.model.about import About, read_about
from profile_lib.model.checkpoint import save_model
from profile_lib.tracking import Tracker
from profile_lib.training.evaluate import Report
from profile_lib.training.folders import told_when_full
from profile_lib.training.report_page import report_page


def save_fitted(
    models: str,
    tracker: Tracker,
    name: str,
    fitted: Fitted,
    start: Path,
    *,
    told: dict[str, Any],
    sections: dict[str, Any],
    files: dict[str, Any],
    folders: dict[str, Path],
) -> About:
    """Write the folder `name` in `models` and record it; `start` holds the model it began as.

    The settings `told` go into the record, `sections` into the report beside its tasks, `files`
    and copies of `folders` into the folder. Raises InputError where the disk is full.
    """
    versions = read_about(str(start)).table_versions
    report = {"tasks": fitted.report, "data": {"tables": versions}, **sections}
    epochs, curve = fitted.outcome.epochs, fitted.outcome.curve
    folder = f"{models}/{name}"
    held = {
        "report.json": report,
        "report.html": report_page(name, report, curve, epochs),
        "numbers.json": json.loads((start / "numbers.json").read_text(encoding="utf-8")),
        "training.json": {"epochs": epochs, "curve": curve},
        **files,
    }
    with told_when_full(models):
        measures = measures_of(fitted.report)
        about = save_model(folder, fitted.model, str(start), measures, versions, held, folders)
    version = tracker.record(name, told, epochs, curve, report, folder)
    if version is not None:
        print(f"{name} version {version} is the challenger at {tracker.uri}")
    return about


def measures_of(report: Report) -> Report:
    """task → the model's measures."""
    return {task: entry["model"] for task, entry in report.items() if "model" in entry}
