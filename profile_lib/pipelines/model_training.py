"""Fit the initial model in a folder, and measure the result."""

from pathlib import Path
from typing import NamedTuple

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.model.encoder import ProfileModel
from profile_lib.pipelines.training_launch import run_on_processes, shared_job_arguments
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.rank_job import TrainingResult
from profile_lib.training.evaluation.baselines import read_baseline_rows
from profile_lib.training.evaluation.predictions import Predictions
from profile_lib.training.evaluation.report import (
    Report,
    evaluate,
    evaluate_without_baselines,
    read_test_users,
)
from profile_lib.training.fit import FitJob, load_fitted
from profile_lib.training.loop import ReportProgress


class TrainedModel(NamedTuple):
    """A fitted model, the result of its training, and its report."""

    model: ProfileModel
    outcome: TrainingResult
    report: Report


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
    """Fit the initial model in `folder`, and measure it on the test split.

    `resume` continues from the last checkpoint. With `skip_baselines` the report has neither
    baselines nor intervals nor segments. Raises InputError as `FitJob.run` and `run_with_retries`
    do.
    """
    arguments = shared_job_arguments(spark, settings, folder, snapshot, resume)
    job = FitJob(plan=make_plan(settings), **arguments)
    outcome = run_on_processes(spark, settings, job, report_progress)
    if skip_baselines:
        report = evaluate_without_baselines(snapshot.tasks, outcome.predictions)
    else:
        report = _evaluate(settings, snapshot, outcome.predictions)
    return TrainedModel(load_fitted(str(folder)), outcome, report)


def _evaluate(settings: Settings, snapshot: Snapshot, predictions: Predictions) -> Report:
    """Return the report with baselines, intervals and segments."""
    training, tasks = settings.training, settings.model.tasks
    return evaluate(
        snapshot.tasks,
        next((task.name for task in tasks if task.label == "next_category"), None),
        predictions,
        read_baseline_rows(snapshot.split("train"), training.baseline_rows),
        read_baseline_rows(snapshot.split("test"), snapshot.rows["test"]),
        read_test_users(snapshot.folder),
        len(snapshot.categories),
        training.seed,
        training.bootstrap_resamples,
    )
