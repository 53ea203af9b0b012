"""What makes the int8 encoder of a fitted model, and judges it on the test examples."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.errors import InputError
from profile_lib.fingerprint import hash_file
from profile_lib.inference.runtimes import bind_runtime
from profile_lib.model.int8_manifest import INT8_FOLDER, INT8_MANIFEST, Int8Manifest
from profile_lib.model.manifest import WEIGHTS_FILE
from profile_lib.model.task_kinds import get_task_kind
from profile_lib.pipelines.model_training import TrainedModel, make_plan, shared_job_arguments
from profile_lib.training.compression.quantization import quantize_encoder, read_calibration_texts
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.evaluation.predictions import predict
from profile_lib.training.evaluation.report import Report, evaluate_without_baselines
from profile_lib.training.fit import FITTED, FitJob


def check_quantization(settings: Settings) -> None:
    """Raise InputError where int8 is wanted and its packages are missing."""
    if settings.quantization.enabled and not (find_spec("nncf") and find_spec("openvino")):
        raise InputError(
            "quantization.enabled: true, but the packages openvino and nncf are not installed; "
            "install the extra int8, or set it to false"
        )


def build_int8_encoder(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, fitted: TrainedModel
) -> dict[str, Path]:
    """The folder of the int8 encoder by its name beside the weights; none where none is wanted.

    A quantized encoder that loses too much of a test measure is told of, and not to be served.
    """
    given = settings.quantization
    if not given.enabled or not fitted.model.has_text:
        return {}
    if fitted.model.prefix is not None:
        print("  int8 is not made: OpenVINO converts no encoder with a tuned prefix", flush=True)
        return {}
    from profile_lib.inference.openvino_int8 import OpenvinoInt8  # an extra of its own

    target = folder / "quantized" / INT8_FOLDER
    shutil.rmtree(target, ignore_errors=True)
    texts = read_calibration_texts(snapshot.split("train"), given.calibration_texts)
    quantize_encoder(fitted.model, texts, target)
    model = bind_runtime(OpenvinoInt8(str(target.parent), torch.get_num_threads()), fitted.model)
    job = FitJob(
        plan=make_plan(settings), **shared_job_arguments(spark, settings, folder, snapshot, False)
    )
    loader = job.make_loader("test", SingleProcess(), model.spec.pad_id)
    size = settings.training.numeric_batch_size
    found = predict(model, loader, size, SingleProcess(), torch.device("cpu"))
    kept = retained_shares(fitted.report, evaluate_without_baselines(snapshot.tasks, found))
    manifest = Int8Manifest(
        weights=hash_file(folder / FITTED / WEIGHTS_FILE),
        calibration_texts=len(texts),
        quality_ratios=kept,
        min_quality_ratio=given.min_quality_ratio,
        is_accepted=min(kept.values(), default=0.0) >= given.min_quality_ratio,
    )
    (target / INT8_MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    told = ", ".join(f"{name} {share:.4f}" for name, share in kept.items())
    word = "accepted" if manifest.is_accepted else f"refused, below {manifest.min_quality_ratio}"
    print(f"  int8 keeps of fp32's test measures: {told}: {word}", flush=True)
    return {INT8_FOLDER: target}


def retained_shares(before: Report, after: Report) -> dict[str, float]:
    """ "task measure" → the share of `before` that `after` keeps; above 1 where it is better."""
    kept = {}
    for task, entry in after.items():
        kind = get_task_kind(entry["kind"])
        for name in kind.quality_metrics:
            was, now = (e.get("model", {}).get(name) for e in (before[task], entry))
            if was and now:
                kept[f"{task} {name}"] = round(
                    was / now if name in kind.lower_is_better else now / was, 5
                )
    return kept
