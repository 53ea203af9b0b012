"""examples → a model: fitted on as many ranks as asked, tested beside its baselines."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.command import main
from profile_lib.config import Settings, with_values
from profile_lib.encoders import encoder_folder
from profile_lib.model.checkpoint import load_model, save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.store import Store
from profile_lib.tables import CATEGORICAL_FEATURES, EXAMPLES, NUMERIC_FEATURES
from profile_lib.tracking import Tracker
from profile_lib.training.answers import LabelledTask
from profile_lib.training.baselines import read_numbers
from profile_lib.training.checkpoints import Checkpoints
from profile_lib.training.distribute import HorovodOptions
from profile_lib.training.evaluate import Report, evaluate, measure_alone, read_users, report_lines
from profile_lib.training.fit import FitJob, load_fitted
from profile_lib.training.folders import told_when_full
from profile_lib.training.launch import check_division, train
from profile_lib.training.lock import only_training
from profile_lib.training.plan import Augmentation, Plan, Tuning
from profile_lib.training.rank import START, Outcome
from profile_lib.training.report_page import report_page
from profile_lib.training.snapshot import Snapshot, load_snapshot, write_snapshot
from profile_lib.training.start import start_model
from profile_lib.training.statistics import number_statistics

NAMES = tuple(column.name for column in NUMERIC_FEATURES)
SEGMENTS = ("is_returning", "device", "region")
SHAPE = {
    "encoder_layers", "numeric_bins", "numeric_hidden", "joined_size", "dropout", "encoder_dropout"
}  # fmt: skip
PLAN = set(Plan.__dataclass_fields__) - {"tuning", "augmentation"}
Tell = Callable[[dict[str, Any]], None]


class Fitted(NamedTuple):
    """What a training leaves: the model, how it came about, and how good it is."""

    model: ProfileModel
    outcome: Outcome
    report: Report


def run(store: Store, settings: Settings, day: date | None, resume: bool = False) -> None:
    """Train on all examples, or on those with a cutoff up to the end of `day`.

    `resume` goes on from the last checkpoint of a training of this name, on its data.
    """
    given = settings.training
    check_division(given.batch_size, given.numeric_batch_size, given.shards, given.ranks)
    encoder = encoder_folder(settings.model.encoder)
    folder = Path(settings.paths.work) / f"train_{given.name}"
    with only_training(settings.paths.models, given.name):
        if resume:
            snapshot = load_snapshot(str(folder / "snapshot"))
        else:
            shutil.rmtree(folder, ignore_errors=True)
            Checkpoints(checkpoint_path(settings, folder), {}, hadoop_conf(store.spark)).clear()
            examples = store.read(EXAMPLES)
            if day is not None:
                examples = examples.where(F.col("cutoff_ts") < F.lit(day + timedelta(days=1)))
            versions = {EXAMPLES.name: store.version(EXAMPLES)}
            snapshot = prepare_snapshot(examples, settings, folder)
            prepare_start(store.spark, snapshot, settings, folder, encoder, versions)
        fitted = fit(store.spark, settings, folder, snapshot, print_progress, resume=resume)
        start = load_model(str(folder / START))[2]
        report = {"tasks": fitted.report, "data": {"tables": start.table_versions}}
        if given.ablations:
            report["ablation"] = ablate(store.spark, settings, folder, snapshot, fitted)
        target = f"{settings.paths.models}/{given.name}"
        page = report_page(given.name, report, fitted.outcome.curve, fitted.outcome.epochs)
        with told_when_full(settings.paths.models):
            about = save_model(
                target,
                fitted.model,
                str(folder / START),
                report,
                start.table_versions,
                {
                    "report.json": report,
                    "report.html": page,
                    "numbers.json": json.loads((folder / START / "numbers.json").read_text()),
                    "training.json": {
                        "epochs": fitted.outcome.epochs,
                        "curve": fitted.outcome.curve,
                    },
                },
            )
        if (tracker := tracker_of(settings)) is not None:
            told = settings.model_dump(include={"examples", "model", "training"})
            epochs, curve = fitted.outcome.epochs, fitted.outcome.curve
            version = tracker.record(given.name, told, epochs, curve, report, target)
            print(f"{given.name} version {version} is the challenger at {tracker.uri}")
    print(f"{about.model_version}: on the test examples")
    print("\n".join(report_lines(fitted.report)))


def tracker_of(settings: Settings) -> Tracker | None:
    """Where the settings want trainings recorded, None where they do not."""
    given = settings.tracking
    return None if given.uri is None else Tracker(**given.model_dump())


def prepare_snapshot(examples: DataFrame, settings: Settings, folder: Path) -> Snapshot:
    """Write the examples to `folder` as ranks read them."""
    given, shape = settings.training, settings.model
    (folder / "snapshot").mkdir(parents=True)
    return write_snapshot(
        examples,
        str(folder / "snapshot"),
        [LabelledTask(**task.model_dump()) for task in shape.tasks],
        n_numeric=len(NAMES),
        shards=given.shards,
        rows_a_group=given.rows_a_group,
        evaluation_rows=given.evaluation_rows,
        categorical=CATEGORICAL_FEATURES,
        segments=SEGMENTS,
        with_text=shape.text,
    )


def prepare_start(
    spark: SparkSession,
    snapshot: Snapshot,
    settings: Settings,
    folder: Path,
    encoder: str,
    versions: dict[str, int],
) -> None:
    """Write the model that ranks start from to `folder`."""
    shape = settings.model
    train_rows = spark.read.parquet(snapshot.split("train"))
    names = NAMES if shape.numbers else ()
    numbers = number_statistics(train_rows, names, shape.numeric_bins)
    model = start_model(
        encoder if shape.text else None,
        snapshot,
        numbers,
        snapshot.categories if shape.numbers else (),
        seed=settings.training.seed,
        **shape.model_dump(include=SHAPE),
    )
    told = {"numbers.json": [asdict(of) for of in numbers]}
    save_model(str(folder / START), model, encoder, {}, versions, told)


def fit(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    snapshot: Snapshot,
    tell: Tell,
    *,
    resume: bool = False,
    alone: bool = False,
) -> Fitted:
    """Fit the model that `prepare_start` left in `folder`, and measure it on the test split.

    `alone` leaves out the baselines, the intervals and the segments.
    """
    given, tasks = settings.training, settings.model.tasks
    job = FitJob(
        str(folder),
        snapshot,
        plan_of(settings),
        tuple(task.weight for task in tasks),
        given.shards,
        given.window,
        given.threads_a_rank,
        checkpoint_path(settings, folder),
        resume,
        hadoop_conf(spark),
    )
    outcome = train(
        spark,
        job,
        given.ranks,
        tell,
        launcher=given.launcher,
        options=HorovodOptions(**given.horovod.model_dump(), stall_seconds=given.stall_seconds),
        retries=given.retries,
    )
    if alone:
        measured = measure_alone(snapshot.tasks, outcome.predictions)
        return Fitted(load_fitted(str(folder)), outcome, measured)
    report = evaluate(
        snapshot.tasks,
        next((task.name for task in tasks if task.label == "next_category"), None),
        outcome.predictions,
        read_numbers(snapshot.split("train"), given.baseline_rows),
        read_numbers(snapshot.split("test"), snapshot.rows["test"]),
        read_users(snapshot.folder),
        len(snapshot.categories),
        given.seed,
        given.bootstrap_resamples,
    )
    return Fitted(load_fitted(str(folder)), outcome, report)


def ablate(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, whole: Fitted
) -> dict[str, Report]:
    """variant → task → the model's measures; each ablation is trained on the same rows."""
    measured = {"as configured": _measures(whole.report)}
    for name, changes in settings.training.ablations.items():
        print(f"  ablation: {name}", flush=True)
        variant = with_values(settings, changes)
        own = folder / "ablations" / re.sub(r"[^a-z0-9]+", "_", name.lower())
        own.mkdir(parents=True, exist_ok=True)
        encoder = encoder_folder(variant.model.encoder)
        prepare_start(spark, snapshot, variant, own, encoder, {})
        measured[name] = _measures(
            fit(spark, variant, own, snapshot, print_progress, alone=True).report
        )
    return measured


def _measures(report: Report) -> Report:
    return {task: entry["model"] for task, entry in report.items() if "model" in entry}


def plan_of(settings: Settings) -> Plan:
    """How the model is fitted; without a text there is only the numbers' stage."""
    given = settings.training
    plan = Plan(
        **given.model_dump(include=PLAN),
        tuning=Tuning(**given.tuning.model_dump()),
        augmentation=Augmentation(**given.augmentation.model_dump()),
    )
    return plan if settings.model.text else replace(plan, epochs=0)


def checkpoint_path(settings: Settings, folder: Path) -> str:
    """Where the checkpoints lie of a training in `folder`."""
    path = settings.training.checkpoint_path
    return str(folder / "checkpoints") if path is None else f"{path}/{folder.name}"


def hadoop_conf(spark: SparkSession) -> dict[str, str]:
    """What Spark was told of file systems, for the ranks, which have no Spark."""
    prefix = "spark.hadoop."
    told = spark.sparkContext.getConf().getAll()
    return {k.removeprefix(prefix): v for k, v in told if k.startswith(prefix)}


def print_progress(entry: dict[str, Any]) -> None:
    """One line of progress; values of validation after a colon."""
    told = dict(entry)
    for name, value in told.pop("validation", {}).items():
        told[f"validation {name}"] = round(value, 4)
    print("  " + ", ".join(f"{name} {value}" for name, value in told.items()), flush=True)


if __name__ == "__main__":
    main("train_model", run, __doc__, {"resume": "go on from the last checkpoint"})
