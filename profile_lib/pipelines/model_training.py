"""Fit the initial model in a folder, and measure the result."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.errors import DivergedError
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.tasks import slice_label_columns
from profile_lib.pipelines.training_launch import run_on_processes, shared_job_arguments
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.training.baselines.join import BaselineOptions, JoinedTask, join_task
from profile_lib.training.baselines.rows import BaselineRows, read_baseline_rows
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.rank_job import TrainingResult
from profile_lib.training.evaluation.predictions import find_broken_tasks
from profile_lib.training.evaluation.report import (
    Report,
    evaluate,
    evaluate_without_baselines,
    read_test_users,
)
from profile_lib.training.fit import FitJob, load_fitted, save_fitted
from profile_lib.training.loop import ReportProgress

log = logging.getLogger(__name__)


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
    """Fit the initial model in `folder`, and measure the result on the test split.

    The network is joined with baselines if the settings say so. `resume` continues from the last
    checkpoint. With `skip_baselines` the network stays alone, and the report has neither baselines
    nor intervals nor segments. Raises InputError as `FitJob.run` and `run_with_retries` do, and
    DivergedError as `check_predictions` does.
    """
    arguments = shared_job_arguments(spark, settings, folder, snapshot, resume)
    job = FitJob(plan=make_plan(settings), predicts_validation=not skip_baselines, **arguments)
    outcome = run_on_processes(spark, settings, job, report_progress)
    check_predictions(outcome)
    model = load_fitted(str(folder))
    if skip_baselines:
        report = evaluate_without_baselines(snapshot.tasks, outcome.predictions)
        return TrainedModel(model, outcome, report)
    rows = {
        split: read_baseline_rows(snapshot.split(split), max_rows)
        for split, max_rows in (snapshot.rows | {"train": settings.training.baseline_rows}).items()
    }
    joined = _fit_binary_tasks(settings, snapshot, outcome, rows)
    spec = model.spec
    if settings.training.joins_baselines and (spec.numeric or spec.categories):
        model.set_baselines({task: found.baselines for task, found in joined.items()})
        save_fitted(model, str(folder))
        for task, found in joined.items():
            outcome.predictions[task]["probability"] = found.final
    tasks = settings.model.tasks
    report = evaluate(
        snapshot.tasks,
        next((task.name for task in tasks if task.label == "next_category"), None),
        outcome.predictions,
        rows["train"],
        rows["test"],
        {task: found.classifiers for task, found in joined.items()},
        read_test_users(snapshot.folder),
        settings.training.seed,
        settings.training.bootstrap_resamples,
    )
    return TrainedModel(model, outcome, report)


def check_predictions(outcome: TrainingResult) -> None:
    """Raise DivergedError if a prediction is no finite number."""
    broken = find_broken_tasks(outcome.predictions) + find_broken_tasks(outcome.validation)
    if broken:
        raise DivergedError(
            f"training: predictions of {', '.join(sorted(set(broken)))} are no finite numbers; "
            "lower training.encoder_lr and training.head_lr, or look for broken numbers"
        )


def _fit_binary_tasks(
    settings: Settings,
    snapshot: Snapshot,
    outcome: TrainingResult,
    rows: Mapping[str, BaselineRows],
) -> dict[str, JoinedTask]:
    """Fit the baselines of each binary task with both labels in train and in validation."""
    options = BaselineOptions(**settings.training.baselines.model_dump())
    joined = {}
    for task, columns in slice_label_columns(snapshot.tasks):
        if not task.definition.is_binary:
            continue
        labels = [rows[split].labels[:, columns.start] for split in ("train", "validation")]
        if not all((known == label).any() for known in labels for label in (0, 1)):
            log.warning(
                f"  {task.name}: train or validation has one label alone; the network is neither "
                "joined nor compared with baselines"
            )
            continue
        joined[task.name] = join_task(
            task.name,
            rows,
            columns.start,
            outcome.validation[task.name],
            outcome.predictions[task.name],
            len(snapshot.categories),
            options,
            settings.training.seed,
        )
    return joined
