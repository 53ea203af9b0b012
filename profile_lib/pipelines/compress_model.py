"""Make a smaller student and a pruned model from a trained model."""

import logging
import time
from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.files import explain_full_disk
from profile_lib.model.manifest import Manifest, read_manifest
from profile_lib.model.pruning import count_pruned_heads
from profile_lib.model.shrinking import choose_spaced_layers
from profile_lib.pipelines.distill_models import (
    PRUNED,
    STUDENT,
    TEACHER,
    fit_teacher_and_students,
    fixed_compress_settings,
    prepare_distillation,
)
from profile_lib.pipelines.model_training import TrainedModel
from profile_lib.pipelines.quantization import build_int8_encoder, check_quantization
from profile_lib.pipelines.save_model import save_trained_model
from profile_lib.pipelines.training_inputs import check_fixed_settings
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.compression.comparison import (
    CompressionTable,
    MeasuredModel,
    build_compression_table,
    compute_interest_vectors,
    format_compression_table,
    measure_throughput,
    read_text_rows,
)
from profile_lib.training.data.snapshot import Snapshot, load_snapshot
from profile_lib.training.distributed.launch import check_batch_division
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import INITIAL_MODEL, select_device
from profile_lib.training.objectives.distillation import use_teacher_tasks
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_lock import lock_training_name

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, day: date | None = None, resume: bool = False) -> None:
    """Make a student and a pruned model from `training.name`, and compare the three.

    Both are trained on all examples, or on those with a cutoff up to the end of `day`, and all are
    measured on the test split. `resume` continues from the last checkpoint. Raises InputError if
    the model is missing, reads no text, has too few layers or heads for the settings, or was
    trained on other examples.
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
            prepare_distillation(store, settings, day, folder, manifest)
        snapshot = use_teacher_tasks(
            load_snapshot(str(folder / "snapshot")), manifest.spec, NUMERIC_FEATURES.names()
        )
        fitted = fit_teacher_and_students(store.spark, settings, folder, snapshot, resume)
        table = measure_all(settings, snapshot, fitted, names)
        recorded = settings.model_dump(include={"examples", "model", "training", "compress"})
        for kind, files in ((PRUNED, {}), (STUDENT, {"compression.json": table})):
            int8 = build_int8_encoder(store.spark, settings, folder / kind, snapshot, fitted[kind])
            save_trained_model(
                models, tracker, names[kind], fitted[kind], folder / kind / INITIAL_MODEL,
                recorded_settings=recorded, sections={}, files=files, folders=int8,
            )  # fmt: skip
    for line in format_compression_table(table):
        log.info(line)


def derive_compress_settings(settings: Settings) -> Settings:
    """Return the settings in which those of `compress` replace those of `training`.

    The encoder is tuned completely and reads text, whatever `training.tuning` and `model.text` are.
    """
    compress = settings.compress
    chosen = compress.model_dump(
        include={"epochs", "negative_downsampling_rate", "evaluation_rows"}
    )
    chosen |= dict.fromkeys(("encoder_lr", "head_lr", "numbers_lr"), compress.lr)
    changes = {f"training.{key}": value for key, value in chosen.items()}
    return with_values(settings, {**changes, "training.tuning.method": "all", "model.text": True})


def model_names(settings: Settings) -> dict[str, str]:
    """Return the names of the three models. Raises InputError if two have the same name."""
    names = {
        TEACHER: settings.training.name,
        STUDENT: settings.compress.student_name,
        PRUNED: settings.compress.pruned_name,
    }
    if len(set(names.values())) < len(names):
        pairs = ", ".join(f"{kind} {name}" for kind, name in names.items())
        raise InputError(
            f"compress: {pairs}; wanted three names: change compress.student_name or "
            "compress.pruned_name"
        )
    return names


def check_teacher(manifest: Manifest, settings: Settings) -> None:
    """Raise InputError if the model cannot be made as small as the settings request."""
    spec, compress = manifest.spec, settings.compress
    if spec.bert is None:
        raise InputError(
            f"{manifest.model_version}: reads no text, so it has no encoder to make smaller; "
            "wanted a model trained with model.text=true"
        )
    choose_spaced_layers(len(spec.attention_heads), compress.student_layers)
    count_pruned_heads([len(heads) for heads in spec.attention_heads], compress.pruned_share)


def measure_all(
    settings: Settings,
    snapshot: Snapshot,
    fitted: Mapping[str, TrainedModel],
    names: Mapping[str, str],
) -> CompressionTable:
    """Tabulate size, speed and quality of all models.

    Their speed is measured in this process, on the same test texts.
    """
    compress, device = settings.compress, select_device(SingleProcess())
    batch_tokens = settings.refresh.batch_tokens
    texts = read_text_rows(snapshot.split("test"), compress.speed_rows)
    passes = {
        kind: partial(
            compute_interest_vectors, trained.model.to(device), texts, batch_tokens, device
        )
        for kind, trained in fitted.items()
    }
    speeds = measure_throughput(
        passes, len(texts.n_tokens), compress.speed_repeats, time.perf_counter
    )
    return build_compression_table(
        {
            kind: MeasuredModel(
                names[kind], trained.model, trained.report, passes[kind](), speeds[kind]
            )
            for kind, trained in fitted.items()
        }
    )
