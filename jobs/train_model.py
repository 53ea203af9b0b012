"""examples → a model: fitted on as many ranks as asked, tested beside its baselines."""

import re
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.command import main
from jobs.fitting import (
    Fitted,
    begun_with,
    check_begun_with,
    examples_until,
    fit,
    forget_checkpoints,
    forget_training,
    prepare_snapshot,
    prepare_start,
    print_progress,
)
from jobs.quantizing import check_quantization, make_int8
from jobs.saving import measures_of, save_fitted
from profile_lib.config import Settings, with_values
from profile_lib.encoders import encoder_folder
from profile_lib.store import Store
from profile_lib.tables import EXAMPLES
from profile_lib.tracking import Tracker
from profile_lib.training.evaluate import Report, report_lines
from profile_lib.training.folders import told_when_full
from profile_lib.training.launch import check_division
from profile_lib.training.lock import only_training
from profile_lib.training.rank import START
from profile_lib.training.snapshot import ABOUT, Snapshot, load_snapshot


def run(store: Store, settings: Settings, day: date | None, resume: bool = False) -> None:
    """Train on all examples, or on those with a cutoff up to the end of `day`.

    `resume` goes on from the last checkpoint of a training of this name, on its data.
    """
    given = settings.training
    check_division(given.batch_size, given.numeric_batch_size, given.shards, given.ranks)
    encoder = encoder_folder(settings.model.encoder)
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"train_{given.name}"
    tracker = Tracker.of(settings.tracking.model_dump())
    check_quantization(settings)
    with only_training(given.name, models, work), told_when_full(work):
        if resume:
            snapshot = load_snapshot(str(folder / "snapshot"))
            check_begun_with(begun_with(settings), folder)
        else:
            forget_training(store.spark, settings, folder)
            examples = examples_until(store, day)
            versions = {EXAMPLES.name: store.version(EXAMPLES)}
            snapshot = prepare_snapshot(examples, settings, folder)
            prepare_start(store.spark, snapshot, settings, folder, encoder, versions)
        fitted = fit(store.spark, settings, folder, snapshot, print_progress, resume=resume)
        sections = {}
        if given.ablations:
            sections["ablation"] = ablate(store.spark, settings, folder, snapshot, fitted)
        told = settings.model_dump(include={"examples", "model", "training"})
        int8 = make_int8(store.spark, settings, folder, snapshot, fitted)
        about = save_fitted(
            models, tracker, given.name, fitted, folder / START,
            told=told, sections=sections, files={}, folders=int8,
        )  # fmt: skip
    print(f"{about.model_version}: on the test examples")
    print("\n".join(report_lines(fitted.report)))


def has_begun(settings: Settings) -> bool:
    """Whether there is a training of this name that may be resumed."""
    folder = Path(settings.paths.work) / f"train_{settings.training.name}"
    return (folder / "snapshot" / ABOUT).is_file() and (folder / START / "model.json").is_file()


def ablate(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, whole: Fitted
) -> dict[str, Report]:
    """variant → task → the model's measures; each ablation is trained on the same rows."""
    measured = {"as configured": measures_of(whole.report)}
    for name, changes in settings.training.ablations.items():
        print(f"  ablation: {name}", flush=True)
        variant = with_values(settings, changes)
        own = folder / "ablations" / re.sub(r"[^a-z0-9]+", "_", name.lower())
        own.mkdir(parents=True, exist_ok=True)
        forget_checkpoints(spark, variant, own)  # of a run that was broken off
        encoder = encoder_folder(variant.model.encoder)
        prepare_start(spark, snapshot, variant, own, encoder, {})
        measured[name] = measures_of(
            fit(spark, variant, own, snapshot, print_progress, alone=True).report
        )
    return measured


if __name__ == "__main__":
    main("train_model", run, __doc__, {"resume": "go on from the last checkpoint"})
