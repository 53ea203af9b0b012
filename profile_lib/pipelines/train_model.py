"""Train a model on the examples, and compare it with baselines."""

import logging
import re
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.files import explain_full_disk
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.model_training import TrainedModel, fit
from profile_lib.pipelines.quantization import build_int8_encoder, check_quantization
from profile_lib.pipelines.save_model import extract_model_metrics, save_trained_model
from profile_lib.pipelines.training_checkpoints import remove_checkpoints, remove_training
from profile_lib.pipelines.training_inputs import (
    check_fixed_settings,
    fixed_settings,
    prepare_initial_model,
    prepare_snapshot,
)
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.pipelines.training_rows import read_examples_until
from profile_lib.tables import EXAMPLES
from profile_lib.training.baselines.join import NETWORK
from profile_lib.training.data.snapshot import MANIFEST_FILE, Snapshot, load_snapshot
from profile_lib.training.distributed.launch import check_batch_division
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.evaluation.report import Report, format_report
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_lock import lock_training_name

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, day: date | None = None, resume: bool = False) -> None:
    """Train on the examples, and save the model with its report.

    `day` leaves out examples with a cutoff after the end of that day. `resume` continues from the
    last checkpoint of a training of this name, on the same snapshot. Raises InputError as `fit`
    does, and if the settings do not fit each other or the interrupted training; raises LockedError
    if another training of this name is running.
    """
    training = settings.training
    check_batch_division(
        training.batch_size, training.numeric_batch_size, training.shards, training.n_processes
    )
    encoder = encoder_folder(settings.model.encoder)
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"train_{training.name}"
    tracker = Tracker.from_settings(settings.tracking.model_dump())
    check_quantization(settings)
    with lock_training_name(training.name, models, work), explain_full_disk(work):
        if resume:
            snapshot = load_snapshot(str(folder / "snapshot"))
            check_fixed_settings(fixed_settings(settings), folder)
        else:
            remove_training(store.spark, settings, folder)
            examples = read_examples_until(store, day)
            versions = {EXAMPLES.name: store.version(EXAMPLES)}
            snapshot = prepare_snapshot(examples, settings, folder)
            prepare_initial_model(store.spark, snapshot, settings, folder, encoder, versions)
        fitted = fit(store.spark, settings, folder, snapshot, log_training_progress, resume=resume)
        sections = {}
        if training.ablations:
            sections["ablation"] = ablate(store.spark, settings, folder, snapshot, fitted)
        recorded = settings.model_dump(include={"examples", "model", "training"})
        int8 = build_int8_encoder(store.spark, settings, folder, snapshot, fitted)
        manifest = save_trained_model(
            models, tracker, training.name, fitted, folder / INITIAL_MODEL,
            recorded_settings=recorded, sections=sections, files={}, folders=int8,
        )  # fmt: skip
    log.info(f"{manifest.model_version}: on the test examples")
    for line in format_report(fitted.report):
        log.info(line)


def can_resume(settings: Settings) -> bool:
    """Return whether a training of this name was begun, so that it can be resumed."""
    folder = Path(settings.paths.work) / f"train_{settings.training.name}"
    return (folder / "snapshot" / MANIFEST_FILE).is_file() and (
        folder / INITIAL_MODEL / "model.json"
    ).is_file()


def ablate(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    snapshot: Snapshot,
    full_model: TrainedModel,
) -> dict[str, Report]:
    """Train each variant of `training.ablations` on the same rows.

    Returns metrics by variant and task, those of `full_model` first.
    """
    metrics = {"as configured": extract_model_metrics(full_model.report, NETWORK)}
    for name, changes in settings.training.ablations.items():
        log.info(f"  ablation: {name}")
        variant = with_values(settings, changes)
        target = folder / "ablations" / re.sub(r"[^a-z0-9]+", "_", name.lower())
        target.mkdir(parents=True, exist_ok=True)
        remove_checkpoints(spark, variant, target)  # of an interrupted run
        encoder = encoder_folder(variant.model.encoder)
        prepare_initial_model(spark, snapshot, variant, target, encoder, {})
        fitted = fit(spark, variant, target, snapshot, log_training_progress, skip_baselines=True)
        metrics[name] = extract_model_metrics(fitted.report)
    return metrics
