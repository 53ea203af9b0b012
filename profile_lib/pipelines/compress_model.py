"""examples and a model → a student with fewer layers and one with fewer heads, beside it."""

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.files import explain_full_disk
from profile_lib.model.checkpoint import load_model, save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.manifest import Manifest, read_manifest
from profile_lib.model.pruning import count_pruned_heads, select_important_heads
from profile_lib.model.shrinking import build_student, choose_spaced_layers, prune_heads
from profile_lib.model.spec import HeadIndices
from profile_lib.pipelines.model_training import (
    FIXED_SETTINGS_FILE,
    NUMERIC_FEATURE_NAMES,
    TrainedModel,
    check_fixed_settings,
    fixed_settings,
    make_plan,
    prepare_snapshot,
    print_progress,
    read_examples_until,
    remove_checkpoints,
    remove_training,
    run_on_processes,
    shared_job_arguments,
)
from profile_lib.pipelines.quantization import build_int8_encoder, check_quantization
from profile_lib.pipelines.save_model import save_trained_model
from profile_lib.tables import EXAMPLES
from profile_lib.training.compression.comparison import (
    CompressionTable,
    MeasuredModel,
    build_compression_table,
    compare_with_teacher,
    compute_interest_vectors,
    format_compression_table,
    measure_throughput,
    read_text_rows,
)
from profile_lib.training.compression.head_importance import head_importance
from profile_lib.training.data.snapshot import Snapshot, load_snapshot
from profile_lib.training.distributed.launch import check_batch_division
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import INITIAL_MODEL, TrainingResult, select_device
from profile_lib.training.evaluation.report import evaluate_without_baselines, read_test_users
from profile_lib.training.fit import PredictJob, load_fitted
from profile_lib.training.objectives.distillation import (
    DistilJob,
    DistillationOptions,
    use_teacher_tasks,
)
from profile_lib.training.objectives.supervised import SupervisedObjective
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_lock import lock_training_name

TEACHER, STUDENT, PRUNED = "teacher", "student", "pruned"
DISTILLATION_OPTIONS = set(DistillationOptions.__dataclass_fields__)
FIXED_COMPRESS_FIELDS = {
    "student_layers",
    "pruned_share",
    "importance_rows",
    "negative_downsampling_rate",
}


def run(store: Store, settings: Settings, day: date | None = None, resume: bool = False) -> None:
    """Make both of the model training.name, on all examples, or on those with a cutoff up to the
    end of `day`, and measure all three on the test split.

    `resume` goes on from the last checkpoint. Raises InputError where the model is missing, reads
    no text, has too few layers or heads for what is asked, or was trained on other examples.
    """
    settings, names = derive_compress_settings(settings), model_names(settings)
    training, models, work = settings.training, settings.paths.models, settings.paths.work
    check_batch_division(
        training.batch_size, training.numeric_batch_size, training.shards, training.n_processes
    )
    check_quantization(settings)
    manifest = read_manifest(f"{models}/{training.name}")
    check_teacher(manifest, settings)
    folder = Path(work) / f"train_{names[STUDENT]}"
    tracker = Tracker.from_settings(settings.tracking.model_dump())
    with (
        lock_training_name(names[STUDENT], models, work),
        lock_training_name(names[PRUNED], models, work),
        explain_full_disk(work),
    ):
        if resume:
            check_fixed_settings(fixed_compress_settings(settings, manifest), folder / PRUNED)
        else:
            prepare(store, settings, day, folder, manifest)
        snapshot = use_teacher_tasks(
            load_snapshot(str(folder / "snapshot")), manifest.spec, NUMERIC_FEATURE_NAMES
        )
        fitted = fit_all(store.spark, settings, folder, snapshot, resume)
        table = measure_all(settings, snapshot, fitted, names)
        told = settings.model_dump(include={"examples", "model", "training", "compress"})
        for kind, files in ((PRUNED, {}), (STUDENT, {"compression.json": table})):
            int8 = build_int8_encoder(store.spark, settings, folder / kind, snapshot, fitted[kind])
            save_trained_model(
                models, tracker, names[kind], fitted[kind], folder / kind / INITIAL_MODEL,
                recorded_settings=told, sections={}, files=files, folders=int8,
            )  # fmt: skip
    print("\n".join(format_compression_table(table)))


def derive_compress_settings(settings: Settings) -> Settings:
    """The training's settings with what is the compression's own."""
    own = settings.compress
    chosen = own.model_dump(include={"epochs", "negative_downsampling_rate", "evaluation_rows"})
    chosen |= dict.fromkeys(("encoder_lr", "head_lr", "numbers_lr"), own.lr)
    changes = {f"training.{key}": value for key, value in chosen.items()}
    return with_values(settings, {**changes, "training.tuning.method": "all", "model.text": True})


def model_names(settings: Settings) -> dict[str, str]:
    """What each model is called. Raises InputError where two would be called the same."""
    own = settings.compress
    names = {TEACHER: settings.training.name, STUDENT: own.student_name, PRUNED: own.pruned_name}
    if len(set(names.values())) < len(names):
        told = ", ".join(f"{kind} {name}" for kind, name in names.items())
        raise InputError(
            f"compress: {told}; wanted three names: change compress.student_name or "
            "compress.pruned_name"
        )
    return names


def check_teacher(manifest: Manifest, settings: Settings) -> None:
    """Raise InputError where nothing smaller can be made of the model as asked."""
    spec, own = manifest.spec, settings.compress
    if spec.bert is None:
        raise InputError(
            f"{manifest.model_version}: reads no text, so it has no encoder to make smaller; wanted a "
            "model trained with model.text=true"
        )
    choose_spaced_layers(len(spec.attention_heads), own.student_layers)
    count_pruned_heads([len(heads) for heads in spec.attention_heads], own.pruned_share)


def fixed_compress_settings(settings: Settings, teacher: Manifest) -> dict[str, Any]:
    """What both models' starts and the snapshot were made by."""
    made = settings.compress.model_dump(include=FIXED_COMPRESS_FIELDS)
    return {"teacher": teacher.model_version, "compress": made, **fixed_settings(settings)}


def prepare(
    store: Store, settings: Settings, day: date | None, folder: Path, manifest: Manifest
) -> None:
    """Write the teacher, the examples as ranks read them, and both models' starts to `folder`."""
    remove_training(store.spark, settings, folder)
    for kind in (STUDENT, PRUNED):
        remove_checkpoints(store.spark, settings, folder / kind)
    source = folder / TEACHER / INITIAL_MODEL
    shutil.copytree(f"{settings.paths.models}/{settings.training.name}", source)
    teacher, spec, _ = load_model(str(source))
    examples, versions = read_examples_until(store, day), {EXAMPLES.name: store.version(EXAMPLES)}
    snapshot = use_teacher_tasks(
        prepare_snapshot(examples, settings, folder), spec, NUMERIC_FEATURE_NAMES
    )
    starts = {
        STUDENT: build_student(teacher, settings.compress.student_layers),
        PRUNED: prune_heads(
            teacher, heads_to_keep(store.spark, settings, folder, snapshot, teacher)
        ),
    }
    numbers = json.loads((source / "numbers.json").read_text(encoding="utf-8"))
    told = {
        "numbers.json": numbers,
        FIXED_SETTINGS_FILE: fixed_compress_settings(settings, manifest),
    }
    for kind, model in starts.items():
        save_model(str(folder / kind / INITIAL_MODEL), model, str(source), {}, versions, told)


def heads_to_keep(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, teacher: ProfileModel
) -> HeadIndices:
    """Those that matter most to the training's loss on compress.importance_rows of the train split,
    here: a few batches need no ranks."""
    plan, own, alone = make_plan(settings), settings.compress, SingleProcess()
    shared = shared_job_arguments(spark, settings, folder / TEACHER, snapshot, False)
    loader = PredictJob(plan=plan, **shared).make_loader("train", alone, teacher.spec.pad_id)
    size, kept = plan.batch_size, plan.negative_downsampling_rate
    batches = loader.batches(size, (plan.seed,), with_text=True, negative_downsampling_rate=kept)
    few = islice(batches, math.ceil(own.importance_rows / size))
    objective = SupervisedObjective(snapshot.tasks, shared["weights"], plan, None)
    found = head_importance(teacher, objective, few, select_device(alone))
    return select_important_heads(found, own.pruned_share)


def fit_all(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, resume: bool
) -> dict[str, TrainedModel]:
    """Ask the teacher, then fit the student and the pruned model to what it says."""
    own, tasks, training = settings.compress, snapshot.tasks, settings.training
    shared = shared_job_arguments(spark, settings, folder / TEACHER, snapshot, resume)
    said = run_on_processes(
        spark, settings, PredictJob(plan=make_plan(settings), **shared), print_progress
    )
    teacher, _, _ = load_model(str(folder / TEACHER / INITIAL_MODEL))
    fitted = {
        TEACHER: TrainedModel(teacher, said, evaluate_without_baselines(tasks, said.predictions))
    }
    users = read_test_users(snapshot.folder)
    for kind, epochs in ((STUDENT, own.epochs), (PRUNED, own.recovery_epochs)):
        print(f"  {kind}", flush=True)
        outcome = distil(spark, settings, folder / kind, snapshot, epochs, resume)
        both = outcome.predictions, said.predictions
        report = compare_with_teacher(
            tasks, *both, users, training.seed, training.bootstrap_resamples
        )
        fitted[kind] = TrainedModel(load_fitted(str(folder / kind)), outcome, report)
    return fitted


def distil(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    snapshot: Snapshot,
    epochs: int,
    resume: bool,
) -> TrainingResult:
    """Fit what lies in `folder` to its tasks and to what the teacher beside it says."""
    job = DistilJob(
        plan=replace(make_plan(settings), epochs=epochs),
        teacher=str(folder.parent / TEACHER / INITIAL_MODEL),
        distillation=DistillationOptions(
            **settings.compress.model_dump(include=DISTILLATION_OPTIONS)
        ),
        **shared_job_arguments(spark, settings, folder, snapshot, resume),
    )
    return run_on_processes(spark, settings, job, print_progress)


def measure_all(
    settings: Settings,
    snapshot: Snapshot,
    fitted: Mapping[str, TrainedModel],
    names: Mapping[str, str],
) -> CompressionTable:
    """The table of all models, their speed measured in this process on the same test texts."""
    own, device = settings.compress, select_device(SingleProcess())
    texts = read_text_rows(snapshot.split("test"), own.speed_rows)
    passes = {
        kind: partial(
            compute_interest_vectors,
            of.model.to(device),
            texts,
            settings.refresh.batch_tokens,
            device,
        )
        for kind, of in fitted.items()
    }
    speeds = measure_throughput(passes, len(texts.n_tokens), own.speed_repeats, time.perf_counter)
    return build_compression_table(
        {
            kind: MeasuredModel(names[kind], of.model, of.report, passes[kind](), speeds[kind])
            for kind, of in fitted.items()
        }
    )
