"""Quantize a trained model's encoder, and measure the result on the test examples."""

import copy
import logging
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.errors import InputError
from profile_lib.fingerprint import hash_file
from profile_lib.inference.runtime_choice import bind_runtime
from profile_lib.inference.runtimes.openvino_int8 import OpenvinoInt8
from profile_lib.model.int8_manifest import INT8_FOLDER, INT8_MANIFEST, Int8Manifest
from profile_lib.model.manifest import WEIGHTS_FILE
from profile_lib.model.task_kinds import get_task_kind
from profile_lib.pipelines.model_training import TrainedModel
from profile_lib.pipelines.save_model import extract_model_metrics
from profile_lib.pipelines.training_launch import shared_job_arguments
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.training.baselines.join import NETWORK
from profile_lib.training.compression.quantization import quantize_encoder, read_calibration_texts
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.evaluation.predictions import (
    Predictions,
    find_broken_tasks,
    predict,
)
from profile_lib.training.evaluation.report import Report, evaluate_without_baselines
from profile_lib.training.fit import FITTED_FOLDER, FitJob

log = logging.getLogger(__name__)


def check_quantization(settings: Settings) -> None:
    """Raise InputError if int8 is enabled and its packages are missing."""
    if settings.quantization.enabled and not (find_spec("nncf") and find_spec("openvino")):
        raise InputError(
            "quantization.enabled: true, but the packages openvino and nncf are not installed; "
            "install the extra int8, or set it to false"
        )


def build_int8_encoder(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, fitted: TrainedModel
) -> dict[str, Path]:
    """Build the int8 encoder of a trained model; return its folder by its name.

    The result is empty if int8 is disabled or impossible for the model. An encoder that loses too
    much quality on the test split is logged and marked as not accepted, so that it never serves.
    """
    options = settings.quantization
    if not options.enabled or not fitted.model.has_text:
        return {}
    if fitted.model.prefix is not None:
        log.info("  int8 is not made: OpenVINO converts no encoder with a tuned prefix")
        return {}
    target = folder / "quantized" / INT8_FOLDER
    shutil.rmtree(target, ignore_errors=True)
    texts = read_calibration_texts(snapshot.split("train"), options.calibration_texts)
    quantize_encoder(fitted.model, texts, target)
    predictions = _predict_in_int8(spark, settings, folder, snapshot, fitted, target.parent)
    report = evaluate_without_baselines(snapshot.tasks, predictions)
    network = extract_model_metrics(fitted.report, NETWORK)
    before = {task: {"model": network.get(task, {})} for task in fitted.report}
    ratios = compute_quality_ratios(before, report)
    is_good = min(ratios.values(), default=0.0) >= options.min_quality_ratio
    manifest = Int8Manifest(
        weights=hash_file(folder / FITTED_FOLDER / WEIGHTS_FILE),
        calibration_texts=len(texts),
        quality_ratios=ratios,
        min_quality_ratio=options.min_quality_ratio,
        is_accepted=is_good and not find_broken_tasks(predictions),
    )
    (target / INT8_MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    log.info(
        "  int8 relative to fp32 on the test split: %s: %s",
        ", ".join(f"{name} {ratio:.4f}" for name, ratio in ratios.items()),
        "accepted" if manifest.is_accepted else f"refused, below {manifest.min_quality_ratio}",
    )
    return {INT8_FOLDER: target}


def _predict_in_int8(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    snapshot: Snapshot,
    fitted: TrainedModel,
    int8_parent: Path,
) -> Predictions:
    """Predict the test split by the network alone, with the int8 encoder below `int8_parent`."""
    runtime = OpenvinoInt8(str(int8_parent), torch.get_num_threads())
    network = copy.deepcopy(fitted.model)
    network.set_baselines({})  # they would hide what the encoder loses
    model = bind_runtime(runtime, network)
    arguments = shared_job_arguments(spark, settings, folder, snapshot, resume=False)
    job = FitJob(plan=make_plan(settings), **arguments)
    loader = job.make_loader("test", SingleProcess(), model.spec.pad_id)
    batch_size = settings.training.numeric_batch_size
    return predict(model, loader, batch_size, SingleProcess(), torch.device("cpu"))


def compute_quality_ratios(before: Report, after: Report) -> dict[str, float]:
    """Return the quality metrics of `after` relative to those of `before`, by "task metric".

    Above 1 `after` is better: the ratio of a metric is inverted if lower values are better.
    """
    ratios = {}
    for task, entry in after.items():
        kind = get_task_kind(entry["kind"])
        for name in kind.quality_metrics:
            old, new = (report.get("model", {}).get(name) for report in (before[task], entry))
            if old and new:
                ratio = old / new if name in kind.lower_is_better else new / old
                ratios[f"{task} {name}"] = round(ratio, 5)
    return ratios
