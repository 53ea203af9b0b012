"""What makes the int8 encoder of a fitted model, and judges it on the test examples."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from pyspark.sql import SparkSession

from jobs.fitting import Fitted, for_ranks, plan_of
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.inference.runtimes import run_by
from profile_lib.model.about import WEIGHTS, sha256_of
from profile_lib.model.quantized import DESCRIPTION, INT8, Int8About
from profile_lib.training.evaluate import Report, measure_alone
from profile_lib.training.fit import FITTED, FitJob
from profile_lib.training.predict import predict
from profile_lib.training.quantize import quantize_encoder, read_texts
from profile_lib.training.ranks import Alone
from profile_lib.training.snapshot import Snapshot

JUDGED = ("roc_auc", "pr_auc", "accuracy", "mrr")  # more is better
JUDGED_ERRORS = ("rmse",)  # less is better


def check_quantization(settings: Settings) -> None:
    """Raise InputError where int8 is wanted and its packages are missing."""
    if settings.quantization.make and not (find_spec("nncf") and find_spec("openvino")):
        raise InputError(
            "quantization.make: true, but the packages openvino and nncf are not installed; "
            "install the extra int8, or set it to false"
        )


def make_int8(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, fitted: Fitted
) -> dict[str, Path]:
    """The folder of the int8 encoder by its name beside the weights; none where none is wanted.

    A quantized encoder that loses too much of a test measure is told of, and not to be served.
    """
    given = settings.quantization
    if not given.make or not fitted.model.has_text:
        return {}
    if fitted.model.prefix is not None:
        print("  int8 is not made: OpenVINO converts no encoder with a tuned prefix", flush=True)
        return {}
    from profile_lib.inference.openvino_int8 import OpenvinoInt8  # an extra of its own

    target = folder / "quantized" / INT8
    shutil.rmtree(target, ignore_errors=True)
    texts = read_texts(snapshot.split("train"), given.calibration_texts)
    quantize_encoder(fitted.model, texts, target)
    model = run_by(OpenvinoInt8(str(target.parent), torch.get_num_threads()), fitted.model)
    job = FitJob(plan=plan_of(settings), **for_ranks(spark, settings, folder, snapshot, False))
    feed = job.feed("test", Alone(), model.spec.pad_id)
    size = settings.training.numeric_batch_size
    found = predict(model, feed, size, Alone(), torch.device("cpu"))
    kept = shares_kept(fitted.report, measure_alone(snapshot.tasks, found))
    about = Int8About(
        weights=sha256_of(folder / FITTED / WEIGHTS),
        calibration_texts=len(texts),
        kept=kept,
        least=given.quality_kept,
        is_accepted=min(kept.values(), default=0.0) >= given.quality_kept,
    )
    (target / DESCRIPTION).write_text(about.model_dump_json(indent=1), encoding="utf-8")
    told = ", ".join(f"{name} {share:.4f}" for name, share in kept.items())
    word = "accepted" if about.is_accepted else f"refused, below {about.least}"
    print(f"  int8 keeps of fp32's test measures: {told}: {word}", flush=True)
    return {INT8: target}


def shares_kept(before: Report, after: Report) -> dict[str, float]:
    """ "task measure" → the share of `before` that `after` keeps; above 1 where it is better."""
    kept = {}
    for task, entry in after.items():
        for name in (*JUDGED, *JUDGED_ERRORS):
            was, now = (e.get("model", {}).get(name) for e in (before[task], entry))
            if was and now:
                kept[f"{task} {name}"] = round(was / now if name in JUDGED_ERRORS else now / was, 5)
    return kept
