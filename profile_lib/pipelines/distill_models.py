"""Fit a student and a pruned model to the predictions of their teacher."""

import copy
import json
import logging
import math
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.model.baselines import TaskBaselines
from profile_lib.model.checkpoint import load_model, save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.manifest import Manifest
from profile_lib.model.pruning import select_important_heads
from profile_lib.model.shrinking import build_student, prune_heads
from profile_lib.model.spec import HeadIndices
from profile_lib.pipelines.model_training import TrainedModel, check_predictions
from profile_lib.pipelines.training_checkpoints import remove_checkpoints, remove_training
from profile_lib.pipelines.training_inputs import (
    FIXED_SETTINGS_FILE,
    fixed_settings,
    prepare_snapshot,
)
from profile_lib.pipelines.training_launch import run_on_processes, shared_job_arguments
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.pipelines.training_rows import read_examples_until
from profile_lib.tables import EXAMPLES
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.baselines.join import refit_weights
from profile_lib.training.baselines.rows import BaselineRows, read_baseline_rows
from profile_lib.training.compression.comparison import compare_with_teacher
from profile_lib.training.compression.head_importance import head_importance
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import INITIAL_MODEL, TrainingResult, select_device
from profile_lib.training.evaluation.report import evaluate_without_baselines, read_test_users
from profile_lib.training.fit import PredictJob, load_fitted, save_fitted
from profile_lib.training.objectives.distillation import (
    DistilJob,
    DistillationOptions,
    use_teacher_tasks,
)
from profile_lib.training.objectives.supervised import SupervisedObjective

TEACHER, STUDENT, PRUNED = "teacher", "student", "pruned"
DISTILLATION_OPTIONS = set(DistillationOptions.__dataclass_fields__)
FIXED_COMPRESS_FIELDS = {
    "student_layers",
    "pruned_share",
    "importance_rows",
    "negative_downsampling_rate",
}

log = logging.getLogger(__name__)


def fixed_compress_settings(settings: Settings, teacher: Manifest) -> dict[str, Any]:
    """Return the settings that the snapshot and both initial models depend on."""
    compress = settings.compress.model_dump(include=FIXED_COMPRESS_FIELDS)
    return {"teacher": teacher.model_version, "compress": compress, **fixed_settings(settings)}


def prepare_distillation(
    store: Store, settings: Settings, day: date | None, folder: Path, manifest: Manifest
) -> None:
    """Write the teacher, the snapshot of the examples and both initial models to `folder`.

    An earlier training in `folder` is removed. Raises InputError if the examples are not those that
    the teacher was trained on, or a setting of `compress` does not fit the teacher.
    """
    remove_training(store.spark, settings, folder)
    for kind in (STUDENT, PRUNED):
        remove_checkpoints(store.spark, settings, folder / kind)
    served = f"{settings.paths.models}/{settings.training.name}"
    teacher, spec, _ = load_model(served)
    teacher.set_baselines({})  # a network would learn little from rows that these have seen
    examples, versions = read_examples_until(store, day), {EXAMPLES.name: store.version(EXAMPLES)}
    snapshot = use_teacher_tasks(
        prepare_snapshot(examples, settings, folder), spec, NUMERIC_FEATURES.names()
    )
    kept_heads = choose_kept_heads(store.spark, settings, folder, snapshot, teacher)
    initial_models = {
        TEACHER: teacher,
        STUDENT: build_student(teacher, settings.compress.student_layers),
        PRUNED: prune_heads(teacher, kept_heads),
    }
    files = {
        "numbers.json": json.loads(Path(served, "numbers.json").read_text(encoding="utf-8")),
        FIXED_SETTINGS_FILE: fixed_compress_settings(settings, manifest),
    }
    for kind, model in initial_models.items():
        save_model(str(folder / kind / INITIAL_MODEL), model, served, {}, versions, files)


def choose_kept_heads(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, teacher: ProfileModel
) -> HeadIndices:
    """Choose the most important attention heads of the teacher.

    They are measured by the training's loss on about `compress.importance_rows` rows of the train
    split, in this process: so few batches need no process group.
    """
    plan, compress, process = make_plan(settings), settings.compress, SingleProcess()
    shared = shared_job_arguments(spark, settings, folder / TEACHER, snapshot, resume=False)
    loader = PredictJob(plan=plan, **shared).make_loader("train", process, teacher.spec.pad_id)
    batches = loader.batches(
        plan.batch_size,
        (plan.seed,),
        with_text=True,
        negative_downsampling_rate=plan.negative_downsampling_rate,
    )
    sample = islice(batches, math.ceil(compress.importance_rows / plan.batch_size))
    objective = SupervisedObjective(snapshot.tasks, shared["weights"], plan, None)
    importances = head_importance(teacher, objective, sample, select_device(process))
    return select_important_heads(importances, compress.pruned_share)


def fit_teacher_and_students(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, resume: bool
) -> dict[str, TrainedModel]:
    """Predict with the teacher, then fit the student and the pruned model to its predictions.

    Returns the three models by TEACHER, STUDENT and PRUNED, with the reports of their networks. The
    two new ones are joined with the teacher's baselines.
    """
    compress, tasks, training = settings.compress, snapshot.tasks, settings.training
    shared = shared_job_arguments(spark, settings, folder / TEACHER, snapshot, resume)
    teacher_result = run_on_processes(
        spark, settings, PredictJob(plan=make_plan(settings), **shared), log_training_progress
    )
    teacher_predictions = teacher_result.predictions
    teacher, _, _ = load_model(str(folder / TEACHER / INITIAL_MODEL))
    report = evaluate_without_baselines(tasks, teacher_predictions)
    fitted = {TEACHER: TrainedModel(teacher, teacher_result, report)}
    users = read_test_users(snapshot.folder)
    served, _, _ = load_model(f"{settings.paths.models}/{training.name}")
    validation = read_baseline_rows(snapshot.split("validation"), snapshot.rows["validation"])
    for kind, epochs in ((STUDENT, compress.epochs), (PRUNED, compress.recovery_epochs)):
        log.info("  %s", kind)
        result = fit_to_teacher(spark, settings, folder / kind, snapshot, epochs, resume)
        check_predictions(result)
        report = compare_with_teacher(
            tasks,
            result.predictions,
            teacher_predictions,
            users,
            training.seed,
            training.bootstrap_resamples,
        )
        model = load_fitted(str(folder / kind))
        model.set_baselines(_join_teachers_baselines(served, result, validation))
        save_fitted(model, str(folder / kind))
        fitted[kind] = TrainedModel(model, result, report)
    return fitted


def _join_teachers_baselines(
    served: ProfileModel, result: TrainingResult, validation: BaselineRows
) -> dict[str, TaskBaselines]:
    """Return the baselines of the served model, joined with the network of `result`."""
    joined = {}
    for task, baselines in served.baselines.items():
        assert isinstance(baselines, TaskBaselines)
        joined[task] = copy.deepcopy(baselines)
        refit_weights(joined[task], result.validation[task], validation)
    return joined


def fit_to_teacher(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    snapshot: Snapshot,
    epochs: int,
    resume: bool,
) -> TrainingResult:
    """Fit the model in `folder` to its tasks and to the predictions of its teacher."""
    options = settings.compress.model_dump(include=DISTILLATION_OPTIONS)
    job = DistilJob(
        plan=replace(make_plan(settings), epochs=epochs),
        teacher=str(folder.parent / TEACHER / INITIAL_MODEL),
        distillation=DistillationOptions(**options),
        predicts_validation=True,
        **shared_job_arguments(spark, settings, folder, snapshot, resume),
    )
    return run_on_processes(spark, settings, job, log_training_progress)
