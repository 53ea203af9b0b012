"""Save a trained model with its report, and record its training."""

import json
import logging
from pathlib import Path
from typing import Any

from profile_lib.files import explain_full_disk
from profile_lib.model.checkpoint import save_model
from profile_lib.model.manifest import Manifest, read_manifest
from profile_lib.pipelines.model_training import TrainedModel
from profile_lib.training.evaluation.report import Report
from profile_lib.training.evaluation.report_page import render_report_page
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_record import TrainingRecord

log = logging.getLogger(__name__)


def save_trained_model(
    models: str,
    tracker: Tracker,
    name: str,
    fitted: TrainedModel,
    initial_model: Path,
    *,
    recorded_settings: dict[str, Any],
    sections: dict[str, Any],
    files: dict[str, Any],
    folders: dict[str, Path],
) -> Manifest:
    """Write the model to the folder `name` in `models`, and record its training.

    `initial_model` is the folder of the model that the training started from. `recorded_settings`
    are part of the record, `sections` of the report, `files` and copies of `folders` of the model's
    folder. Returns the model's manifest. Raises InputError if the disk is full.
    """
    versions = read_manifest(str(initial_model)).table_versions
    report = {"tasks": fitted.report, "data": {"tables": versions}, **sections}
    epochs, curve = fitted.outcome.epochs, fitted.outcome.curve
    folder = f"{models}/{name}"
    contents = {
        "report.json": report,
        "report.html": render_report_page(name, report, curve, epochs),
        "numbers.json": json.loads((initial_model / "numbers.json").read_text(encoding="utf-8")),
        "training.json": {"epochs": epochs, "curve": curve},
        **files,
    }
    with explain_full_disk(models):
        metrics = extract_model_metrics(fitted.report)
        manifest = save_model(
            folder, fitted.model, str(initial_model), metrics, versions, contents, folders
        )
    training = TrainingRecord.build(name, recorded_settings, epochs, curve, report)
    version = tracker.record(training, folder)
    if tracker.mlflow is not None:
        log.info(f"{name} version {version} is the challenger at {tracker.mlflow.uri}")
    return manifest


def extract_model_metrics(report: Report, method: str = "model") -> Report:
    """Return a method's metrics by task.

    A task without it has those of the model.
    """
    return {
        task: entry.get(method, entry["model"])
        for task, entry in report.items()
        if "model" in entry
    }
