"""What the jobs that train share: settings in, snapshot, start, ranks and a fitted model out."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.tables import EXAMPLES
from profile_lib.tables.events import CONTEXT_COLUMNS
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.checkpoints import Checkpoints
from profile_lib.training.data.numeric_statistics import compute_numeric_statistics
from profile_lib.training.data.snapshot import Snapshot, write_snapshot
from profile_lib.training.data.task_labels import LabelledTask
from profile_lib.training.distributed.horovod_launcher import HorovodOptions
from profile_lib.training.distributed.launch import run_with_retries
from profile_lib.training.distributed.rank_job import INITIAL_MODEL, DistributedJob, TrainingResult
from profile_lib.training.evaluation.baselines import read_baseline_rows
from profile_lib.training.evaluation.report import (
    Report,
    evaluate,
    evaluate_without_baselines,
    read_test_users,
)
from profile_lib.training.fit import FitJob, load_fitted
from profile_lib.training.initial_model import build_initial_model
from profile_lib.training.loop import ReportProgress
from profile_lib.training.plan import Augmentation, TrainingPlan, Tuning
from profile_lib.training.tracking import flatten


class RowSchema(NamedTuple):
    """What rows a model learns from: the names of their numbers, the last `n_vector_numbers` of which are
    parts of vectors, the columns that are categories, those that part users in a report, what tells
    rows apart, and which are answers to one request.
    """

    numbers: Sequence[str]
    n_vector_numbers: int = 0
    categories: Sequence[str] = ()
    segments: Sequence[str] = ()
    key: Sequence[str] = ("user_id", "cutoff_ts")
    request: Sequence[str] = ()


NUMERIC_FEATURE_NAMES = tuple(column.name for column in NUMERIC_FEATURES)
EXAMPLE_ROWS = RowSchema(
    NUMERIC_FEATURE_NAMES,
    categories=CONTEXT_COLUMNS,
    segments=("is_returning", "device", "region"),
)
FIXED_SETTINGS_FILE = "settings.json"  # beside the model that a training starts from
MODEL_SHAPE_FIELDS = {
    "encoder_layers", "numeric_bins", "numeric_hidden", "joined_size", "dropout", "encoder_dropout"
}  # fmt: skip
PLAN_FIELDS = set(TrainingPlan.__dataclass_fields__) - {"tuning", "augmentation"}


class TrainedModel(NamedTuple):
    """What a training leaves: the model, how it came about, and how good it is."""

    model: ProfileModel
    outcome: TrainingResult
    report: Report


def read_examples_until(store: Store, day: date | None) -> DataFrame:
    """All examples, or those with a cutoff up to the end of `day`."""
    examples = store.read(EXAMPLES)
    if day is None:
        return examples
    return examples.where(F.col("cutoff_ts") < F.lit(day + timedelta(days=1)))


def remove_training(spark: SparkSession, settings: Settings, folder: Path) -> None:
    """Remove what an earlier training left in `folder`, and its checkpoints wherever they lie."""
    shutil.rmtree(folder, ignore_errors=True)
    remove_checkpoints(spark, settings, folder)


def remove_checkpoints(spark: SparkSession, settings: Settings, folder: Path) -> None:
    """Remove the checkpoints of an earlier training in `folder`, wherever they lie."""
    Checkpoints(checkpoint_path(settings, folder), {}, hadoop_conf(spark)).clear()


def prepare_snapshot(
    examples: DataFrame, settings: Settings, folder: Path, rows: RowSchema = EXAMPLE_ROWS
) -> Snapshot:
    """Write the examples to `folder` as ranks read them."""
    given, shape = settings.training, settings.model
    (folder / "snapshot").mkdir(parents=True)
    return write_snapshot(
        examples,
        str(folder / "snapshot"),
        [LabelledTask(**task.model_dump()) for task in shape.tasks],
        n_numeric=len(rows.numbers),
        shards=given.shards,
        rows_per_group=given.rows_per_group,
        evaluation_rows=given.evaluation_rows,
        categorical=rows.categories,
        segments=rows.segments,
        with_text=shape.text,
        key=rows.key,
        request=rows.request,
    )


def prepare_initial_model(
    spark: SparkSession,
    snapshot: Snapshot,
    settings: Settings,
    folder: Path,
    encoder: str,
    versions: dict[str, int],
    rows: RowSchema = EXAMPLE_ROWS,
) -> None:
    """Write the model that ranks start from to `folder`."""
    shape = settings.model
    train_rows = spark.read.parquet(snapshot.split("train"))
    names = rows.numbers if shape.numbers else ()
    numbers = compute_numeric_statistics(train_rows, names, shape.numeric_bins)
    model = build_initial_model(
        encoder if shape.text else None,
        snapshot,
        numbers,
        snapshot.categories if shape.numbers else (),
        n_vector_numbers=rows.n_vector_numbers,
        seed=settings.training.seed,
        **shape.model_dump(include=MODEL_SHAPE_FIELDS),
    )
    told = {
        "numbers.json": [asdict(of) for of in numbers],
        FIXED_SETTINGS_FILE: fixed_settings(settings),
    }
    save_model(str(folder / INITIAL_MODEL), model, encoder, {}, versions, told)


def fixed_settings(settings: Settings) -> dict[str, Any]:
    """What a training's start and snapshot were made by."""
    made = settings.training.model_dump(include={"rows_per_group", "evaluation_rows"})
    return {"model": settings.model.model_dump(mode="json"), "training": made}


def check_fixed_settings(expected_settings: dict[str, Any], folder: Path) -> None:
    """Raise InputError where the training in `folder` was begun with anything else than is told,
    or not at all."""
    path = folder / INITIAL_MODEL / FIXED_SETTINGS_FILE
    if not path.is_file():
        raise InputError(f"{folder}: no training was begun here; train without --resume")
    was, now = flatten(json.loads(path.read_text(encoding="utf-8"))), flatten(expected_settings)
    if changed := [f"{k} was {was.get(k)}, is {now.get(k)}" for k in now if was.get(k) != now[k]]:
        raise InputError(
            f"{folder}: begun with other settings: {'; '.join(changed)}. Train without --resume, "
            "or with the settings it was begun with"
        )


def fit(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    snapshot: Snapshot,
    report_progress: ReportProgress,
    *,
    resume: bool = False,
    skip_baselines: bool = False,
) -> TrainedModel:
    """Fit the model that `prepare_initial_model` left in `folder`, and measure it on the test split.

    `skip_baselines` leaves out the baselines, the intervals and the segments.
    """
    given, tasks = settings.training, settings.model.tasks
    shared = shared_job_arguments(spark, settings, folder, snapshot, resume)
    job = FitJob(plan=make_plan(settings), **shared)
    outcome = run_on_processes(spark, settings, job, report_progress)
    if skip_baselines:
        measured = evaluate_without_baselines(snapshot.tasks, outcome.predictions)
        return TrainedModel(load_fitted(str(folder)), outcome, measured)
    report = evaluate(
        snapshot.tasks,
        next((task.name for task in tasks if task.label == "next_category"), None),
        outcome.predictions,
        read_baseline_rows(snapshot.split("train"), given.baseline_rows),
        read_baseline_rows(snapshot.split("test"), snapshot.rows["test"]),
        read_test_users(snapshot.folder),
        len(snapshot.categories),
        given.seed,
        given.bootstrap_resamples,
    )
    return TrainedModel(load_fitted(str(folder)), outcome, report)


def shared_job_arguments(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, resume: bool
) -> dict[str, Any]:
    """What ranks are told whatever their job in `folder` is, but the plan."""
    given = settings.training
    return {
        "folder": str(folder),
        "snapshot": snapshot,
        "weights": tuple(task.weight for task in settings.model.tasks),
        "shards": given.shards,
        "shuffle_rows": given.shuffle_rows,
        "threads": given.threads_per_process,
        "checkpoint_path": checkpoint_path(settings, folder),
        "resume": resume,
        "hadoop": hadoop_conf(spark),
    }


def run_on_processes(
    spark: SparkSession, settings: Settings, job: DistributedJob, report_progress: ReportProgress
) -> TrainingResult:
    """Run `job` on the ranks that the settings ask for."""
    given = settings.training
    return run_with_retries(
        spark,
        job,
        given.n_processes,
        report_progress,
        launcher=given.launcher,
        options=HorovodOptions(**given.horovod.model_dump(), stall_seconds=given.stall_seconds),
        retries=given.retries,
    )


def make_plan(settings: Settings) -> TrainingPlan:
    """How the model is fitted; without a text there is only the numbers' stage."""
    given = settings.training
    plan = TrainingPlan(
        **given.model_dump(include=PLAN_FIELDS),
        tuning=Tuning(**given.tuning.model_dump()),
        augmentation=Augmentation(**given.augmentation.model_dump()),
    )
    return plan if settings.model.text else replace(plan, epochs=0)


def checkpoint_path(settings: Settings, folder: Path) -> str:
    """Where the checkpoints lie of a training in `folder`, which is below paths.work."""
    path = settings.training.checkpoint_path
    if path is None:
        return str(folder / "checkpoints")
    return f"{path}/{folder.relative_to(settings.paths.work).as_posix()}"


def hadoop_conf(spark: SparkSession) -> dict[str, str]:
    """What Spark was told of file systems, for the ranks, which have no Spark."""
    prefix = "spark.hadoop."
    told = spark.sparkContext.getConf().getAll()
    return {k.removeprefix(prefix): v for k, v in told if k.startswith(prefix)}


def print_progress(entry: dict[str, Any]) -> None:
    """Log one message of a training as a line."""
    log_training_progress(entry)
