"""Measure training, the encoder in bf16 and a refresh on a GPU.

    python -m benchmarks.gpu bert ranks train encode refresh --config conf/ga.yaml --folder FOLDER

Reads events, items, users and examples of the settings' tables (run the jobs up to build_examples
first) and works in FOLDER, where `train` leaves the model for `encode` and `refresh`. Spark runs as
the settings say, so `--set spark.master=...` and
`--set spark.conf.spark.executor.resource.gpu.amount=...` let a cluster assign its GPUs. Writes
benchmarks/results/gpu.json.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyspark.sql import functions as F
from transformers import BertConfig

from benchmarks.inference import distinct_texts, model_folder
from benchmarks.measure import (
    cite_metrics,
    make_parser,
    open_store,
    save_result,
    summarise_repeats,
    time_call,
)
from benchmarks.prepared_training import FULL_TUNING, PreparedTraining
from benchmarks.refresh import scratch_store, time_refresh
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.inference.predictor import Predictions, Predictor
from profile_lib.inference.row_arrays import to_row_arrays
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.manifest import read_manifest
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.pipelines import train_model
from profile_lib.spark.category_codes import append_category_codes
from profile_lib.spark.session import start_spark
from profile_lib.tables import EVENTS, USER_PROFILES
from profile_lib.training.data.batches import Batch
from profile_lib.training.distributed.launch import LauncherName
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.loop import TrainingLoop
from profile_lib.training.objectives.supervised import SupervisedObjective
from profile_lib.training.plan import TrainingPlan

REPEATS = 5
DEVICE = torch.device("cuda:0")
BF16_PEAK_OPERATIONS_PER_SECOND = 989e12  # of an H100 or H200, dense
PARALLEL_ROWS = 65_536  # rows for the comparison of ranks, in batches of 256 per rank
TEXTS = 20_000
TOKENS_PER_PASS = (16_384, 131_072)  # with padding
RUNTIMES = ("torch_fp32", "torch_bf16")


BERT_BATCH, BERT_LENGTH = 256, 128
TARGET_PER_SECOND = 6000


def bert(settings: Settings, folder: Path) -> dict[str, Any]:
    """Measure BERT-base's shape at length 128: examples per second and share of the bf16 peak."""
    spec = ModelSpec(
        tasks=(TaskSpec(name="buys", kind="binary"),), numeric=("n",), numeric_bins=2,
        numeric_hidden=64, joined_size=128, dropout=0.1, max_tokens=BERT_LENGTH, separator_id=102,
        bert=BertConfig().to_dict(),
    )  # fmt: skip
    plan = TrainingPlan(
        seed=1, epochs=1, numeric_epochs=0, batch_size=BERT_BATCH, numeric_batch_size=BERT_BATCH,
        encoder_lr=2e-5, head_lr=1e-3, numbers_lr=1e-4, weight_decay=0.01, warmup_share=0.1,
        max_grad_norm=1.0, negative_downsampling_rate=1.0, progress_steps=100,
    )  # fmt: skip
    speeds: dict[str, list[float]] = {"plain": [], "compiled": []}
    waits: list[float] = []
    for _ in range(REPEATS):
        for name in speeds:
            speed, wait = train_synthetic(spec, replace(plan, compile=name == "compiled"))
            speeds[name].append(speed)
            waits.append(wait)
            print(name, round(speed), "examples/s", flush=True)
    best = max(summarise_repeats(values)["median"] for values in speeds.values())
    share = best * operations_per_example(spec) / BF16_PEAK_OPERATIONS_PER_SECOND
    return {
        **{f"{name}_per_second": summarise_repeats(values) for name, values in speeds.items()},
        "share_of_bf16_peak": round(share, 3),
        "assumed_peak_operations_per_second": BF16_PEAK_OPERATIONS_PER_SECOND,
        "data_wait": summarise_repeats(waits),
        "target_per_second": TARGET_PER_SECOND,
    }


def train_synthetic(spec: ModelSpec, plan: TrainingPlan) -> tuple[float, float]:
    """Train 200 batches; return examples per second and the share of time waiting for data."""
    entries: list[dict[str, Any]] = []
    objective = SupervisedObjective(spec.tasks, (1.0,), plan, None)
    loop = TrainingLoop(
        ProfileModel(spec), objective, plan, SingleProcess(), DEVICE, entries.append
    )
    loop.fit(SyntheticLoader(BERT_BATCH * 200, BERT_LENGTH), lambda with_text: {"loss": 1.0})
    steps = [entry for entry in entries if "step" in entry]
    first, last = steps[0], steps[-1]
    # The first hundred steps, in which kernels are chosen and compiled, do not count.
    n = BERT_BATCH * (last["step"] - first["step"])
    seconds = BERT_BATCH * last["step"] / last["examples_per_second"]
    seconds -= BERT_BATCH * first["step"] / first["examples_per_second"]
    wait = next(entry["data_wait"] for entry in entries if "data_wait" in entry)
    return n / seconds, wait


def operations_per_example(spec: ModelSpec) -> float:
    """Arithmetic operations of one training step per example, without the embeddings."""
    shape = BertConfig()
    named = ProfileModel(spec).bert.named_parameters()  # type: ignore[union-attr]
    parameters = sum(p.numel() for name, p in named if "embeddings" not in name)
    attention = 2 * shape.num_hidden_layers * BERT_LENGTH * shape.hidden_size
    return BERT_LENGTH * (6 * parameters + 6 * attention)


class SyntheticLoader:
    """A loader of random rows of one length."""

    folder = "synthetic"

    def __init__(self, rows: int, length: int) -> None:
        self.rows, self.rows_read, self.length = rows, rows, length

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        """All rows: none is left out."""
        return self.rows

    def batches(
        self,
        size: int,
        seed: tuple[int, ...],
        *,
        with_text: bool,
        negative_downsampling_rate: float = 1.0,
    ) -> Iterator[Batch]:
        """Batches of `size` rows."""
        rng = np.random.default_rng(seed)
        for _ in range(self.rows // size):
            yield {
                "token_ids": rng.integers(1000, 30000, (size, self.length)),
                "n_tokens": np.full(size, self.length),
                "numeric": rng.normal(size=(size, 1)).astype(np.float32),
                "labels": rng.integers(0, 2, (size, 1)).astype(np.float32),
                "weight": np.ones(size, np.float32),
                "row_hash": rng.integers(0, 2**62, size),
            }


def ranks(settings: Settings, folder: Path) -> dict[str, Any]:
    """Compare Horovod and torch over NCCL, one process per GPU, with a single process."""
    n = torch.cuda.device_count()
    sizes = dict.fromkeys(("training.batch_size", "training.numeric_batch_size"), 256 * n)
    settings = with_values(settings, FULL_TUNING | sizes | {"training.shards": n})
    launchers: dict[LauncherName, int] = {"in_process": 1, "horovod": n, "torch": n}
    rates: dict[str, list[float]] = {name: [] for name in launchers}
    with tempfile.TemporaryDirectory(dir=folder) as scratch_folder:
        training = PreparedTraining(settings, Path(scratch_folder) / "train", PARALLEL_ROWS)
        for _ in range(REPEATS):
            for name, n_processes in launchers.items():
                rate = training.rate(name, n_processes, 1)["rate_after_warm_up"]
                rates[name].append(rate)
                print(name, round(rate), "examples/s", flush=True)
    return {
        "ranks": n,
        "mean_tokens": training.mean_tokens(),
        **{f"{name}_per_second": summarise_repeats(values) for name, values in rates.items()},
    }


def train(settings: Settings, folder: Path) -> dict[str, Any]:
    """Run train_model; return its seconds and the test metrics."""
    store = open_store(settings)
    seconds = round(time_call(train_model.run, store, settings), 1)
    metrics = read_manifest(model_folder(settings)).metrics
    return {"seconds": seconds, "test": {k: cite_metrics(v) for k, v in metrics.items()}}


def encode(settings: Settings, folder: Path) -> dict[str, Any]:
    """Measure texts per second by the tokens of a pass, and how far bf16 is from fp32."""
    spark, model = start_spark(settings.spark, "benchmark"), model_folder(settings)
    manifest = read_manifest(model)
    codes = append_category_codes(F.col("numeric"), manifest.spec.categories)
    texts = distinct_texts(spark, settings, TEXTS).select("token_ids", "n_tokens", codes)
    rows = to_row_arrays(*(column for _, column in texts.toPandas().items()))
    speeds, predictions = dict[str, Any](), dict[str, Predictions]()
    for runtime in RUNTIMES:
        for tokens in TOKENS_PER_PASS:
            predictor = Predictor.load(
                model, manifest.model_version, runtime=runtime, device=DEVICE, threads=1,
                batch_tokens=tokens, max_events=settings.examples.max_text_events,
            )  # fmt: skip
            rates = []
            for _ in range(1 + REPEATS):
                start = time.monotonic()
                predictions[runtime] = predictor.predict(
                    rows.token_ids, rows.n_tokens, rows.numeric
                )
                rates.append(len(rows.n_tokens) / (time.monotonic() - start))
            speeds[f"{runtime}_{tokens}_tokens_per_pass"] = summarise_repeats(rates[1:])
            print(runtime, tokens, round(rates[-1]), "texts/s", flush=True)
    fp32, bf16 = (predictions[runtime] for runtime in RUNTIMES)
    lengths = np.linalg.norm(fp32.vectors, axis=1) * np.linalg.norm(bf16.vectors, axis=1)
    return {
        "texts": len(rows.n_tokens),
        "mean_tokens": round(float(rows.n_tokens.mean()), 1),
        "texts_per_second": speeds,
        "mean_cosine_of_bf16": round(
            float(np.mean((fp32.vectors * bf16.vectors).sum(1) / lengths)), 5
        ),
        "largest_difference_of_bf16": {
            task: round(float(np.abs(bf16.outputs[task] - outputs).max()), 4)
            for task, outputs in fp32.outputs.items()
        },
    }


def refresh(settings: Settings, folder: Path) -> dict[str, Any]:
    """Time a refresh of all users by workers that have yet to load the model, and by warm ones."""
    source = open_store(settings)
    with scratch_store(source, folder / "refresh_benchmark", source.read(EVENTS)) as store:
        first = time_refresh(store, settings, rebuild=True)
        again = [time_refresh(store, settings, rebuild=True) for _ in range(2)]
        n_users = store.read(USER_PROFILES).count()
    resources = {k: v for k, v in settings.spark.conf.items() if ".resource." in k or "cores" in k}
    return {
        "users": n_users,
        "spark": resources,
        "first_seconds": round(first, 1),
        "seconds": summarise_repeats(again),
    }


PARTS = {part.__name__: part for part in (bert, ranks, train, encode, refresh)}


def main() -> None:
    """Run the requested parts."""
    arguments = make_parser(
        __doc__, PARTS, folder_help="where it works, and leaves the model"
    ).parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("gpu.py: torch finds no GPU; run it on a machine with one")
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"paths.models": str(folder / "models"), "paths.work": str(folder / "work")}
    settings = with_values(load_settings(arguments.config, arguments.set), paths)
    device = torch.cuda.get_device_name(0)
    for part in arguments.parts:
        save_result("gpu", part, {"device": device} | PARTS[part](settings, folder))


if __name__ == "__main__":
    main()
