"""What a GPU gives: training by one and by ranks over NCCL, the encoder in bf16, a refresh.

    python benchmarks/gpu.py bert ranks train encode refresh --config conf/ga.yaml --folder FOLDER

Reads events, items, users and examples of the settings' tables (run the jobs up to build_examples
first), works in FOLDER, where `train` leaves the model for `encode` and `refresh`, and writes each
part into benchmarks/results/gpu.json. Spark is as the settings have it, so `--set spark.master=...`
and `--set spark.conf.spark.executor.resource.gpu.amount=...` let a cluster hand out its GPUs.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inference import distinct_texts, model_folder
from measure import save_result, summarise_repeats
from pyspark.sql import functions as F
from refresh import scratch_store, time_refresh
from training import FULL_TUNING, PreparedTraining
from transformers import BertConfig

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
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
BF16_PEAK_OPERATIONS_PER_SECOND = 989e12  # operations a second of an H100 or H200, dense
PARALLEL_ROWS = 65_536  # rows that ranks train on, in batches of 256 to each
TEXTS = 20_000
TOKENS_PER_PASS = (16_384, 131_072)  # padded tokens of one
RUNTIMES = ("torch_fp32", "torch_bf16")


def bert(_settings: Settings, _folder: Path) -> dict[str, Any]:
    """BERT-base's shape at length 128 on one GPU: examples a second, share of its bf16 peak."""
    shape = BertConfig()
    spec = ModelSpec(
        tasks=(TaskSpec(name="buys", kind="binary"),), numeric=("n",), numeric_bins=2,
        numeric_hidden=64, joined_size=128, dropout=0.1, max_tokens=128, separator_id=102,
        bert=shape.to_dict(),
    )  # fmt: skip
    plan = TrainingPlan(
        seed=1, epochs=1, numeric_epochs=0, batch_size=256, numeric_batch_size=256,
        encoder_lr=2e-5, head_lr=1e-3, numbers_lr=1e-4, weight_decay=0.01, warmup_share=0.1,
        max_grad_norm=1.0, negative_downsampling_rate=1.0, progress_steps=100,
    )  # fmt: skip
    speeds: dict[str, list[float]] = {"plain": [], "compiled": []}
    waits: list[float] = []
    for _ in range(REPEATS):
        for name in speeds:
            told: list[dict[str, Any]] = []
            chosen = replace(plan, compile=name == "compiled")
            objective = SupervisedObjective(spec.tasks, (1.0,), chosen, None)
            loop = TrainingLoop(
                ProfileModel(spec), objective, chosen, SingleProcess(), DEVICE, told.append
            )
            loop.fit(Synthetic(256 * 200, 128), lambda with_text: {"loss": 1.0})
            steps = [entry for entry in told if "step" in entry]
            first, last = steps[0], steps[-1]
            # from the hundredth step on: before it kernels are chosen and compiled
            n = 256 * (last["step"] - first["step"])
            seconds = 256 * last["step"] / last["examples_per_second"]
            seconds -= 256 * first["step"] / first["examples_per_second"]
            speeds[name].append(n / seconds)
            waits.append(next(entry["data_wait"] for entry in told if "data_wait" in entry))
            print(name, round(speeds[name][-1]), "examples/s", flush=True)
    parameters = sum(p.numel() for n, p in ProfileModel(spec).bert.named_parameters()
                     if "embeddings" not in n)  # type: ignore[union-attr]  # fmt: skip
    attention = 2 * shape.num_hidden_layers * 128 * shape.hidden_size
    operations = 128 * (6 * parameters + 6 * attention)
    best = max(summarise_repeats(values)["median"] for values in speeds.values())
    return {
        **{f"{name}_per_second": summarise_repeats(values) for name, values in speeds.items()},
        "share_of_bf16_peak": round(best * operations / BF16_PEAK_OPERATIONS_PER_SECOND, 3),
        "assumed_peak_operations_per_second": BF16_PEAK_OPERATIONS_PER_SECOND,
        "data_wait": summarise_repeats(waits),
        "target_per_second": 6000,
    }


class Synthetic:
    """Rows of one length, drawn anew for each batch."""

    folder = "synthetic"

    def __init__(self, rows: int, length: int) -> None:
        self.rows, self.rows_read, self.length = rows, rows, length

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        """All of them."""
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
    """Ranks by Horovod and by torch over NCCL, one a GPU, against one rank without either."""
    n = torch.cuda.device_count()
    sizes = dict.fromkeys(("training.batch_size", "training.numeric_batch_size"), 256 * n)
    given = with_values(settings, FULL_TUNING | sizes | {"training.shards": n})
    launchers: dict[LauncherName, int] = {"in_process": 1, "horovod": n, "torch": n}
    found: dict[str, list[float]] = {name: [] for name in launchers}
    with tempfile.TemporaryDirectory(dir=folder) as scratch_folder:
        rows = PreparedTraining(given, Path(scratch_folder) / "train", PARALLEL_ROWS)
        for _ in range(REPEATS):
            for name, n_processes in launchers.items():
                found[name].append(rows.rate(name, n_processes, 1)["rate_after_warm_up"])
                print(name, round(found[name][-1]), "examples/s", flush=True)
    return {
        "ranks": n,
        "mean_tokens": rows.mean_tokens(),
        **{f"{name}_per_second": summarise_repeats(values) for name, values in found.items()},
    }


def train(settings: Settings, folder: Path) -> dict[str, Any]:
    """A whole train_model, and how good the model is."""
    store = Store(start_spark(settings.spark, "benchmark"), settings.paths.tables)
    began = time.monotonic()
    train_model.run(store, settings)
    seconds = round(time.monotonic() - began, 1)
    return {"seconds": seconds, "metrics": read_manifest(model_folder(settings)).metrics}


def encode(settings: Settings, folder: Path) -> dict[str, Any]:
    """Texts a second by the length of a pass, and how far bf16 is from fp32."""
    spark, model = start_spark(settings.spark, "benchmark"), model_folder(settings)
    manifest = read_manifest(model)
    codes = append_category_codes(F.col("numeric"), manifest.spec.categories)
    texts = distinct_texts(spark, settings, TEXTS).select("token_ids", "n_tokens", codes)
    rows = to_row_arrays(*(column for _, column in texts.toPandas().items()))
    speeds, said = dict[str, Any](), dict[str, Predictions]()
    for runtime in RUNTIMES:
        for tokens in TOKENS_PER_PASS:
            predictor = Predictor.load(
                model, manifest.model_version, runtime=runtime, device=DEVICE, threads=1,
                batch_tokens=tokens, max_events=settings.examples.max_text_events,
            )  # fmt: skip
            rates = []
            for _ in range(1 + REPEATS):
                began = time.monotonic()
                said[runtime] = predictor.predict(rows.token_ids, rows.n_tokens, rows.numeric)
                rates.append(len(rows.n_tokens) / (time.monotonic() - began))
            speeds[f"{runtime}, {tokens} tokens a pass"] = summarise_repeats(rates[1:])
            print(runtime, tokens, round(rates[-1]), "texts/s", flush=True)
    exact, near = (said[runtime] for runtime in RUNTIMES)
    lengths = np.linalg.norm(exact.vectors, axis=1) * np.linalg.norm(near.vectors, axis=1)
    return {
        "texts": len(rows.n_tokens),
        "mean_tokens": round(float(rows.n_tokens.mean()), 1),
        "texts_per_second": speeds,
        "mean_cosine_of_bf16": round(
            float(np.mean((exact.vectors * near.vectors).sum(1) / lengths)), 5
        ),
        "largest_difference_of_bf16": {
            task: round(float(np.abs(near.outputs[task] - answers).max()), 4)
            for task, answers in exact.outputs.items()
        },
    }


def refresh(settings: Settings, folder: Path) -> dict[str, Any]:
    """A refresh of all users, as workers find it that have yet to load the model, and again."""
    source = Store(start_spark(settings.spark, "benchmark"), settings.paths.tables)
    with scratch_store(source, folder / "refresh_benchmark", source.read(EVENTS)) as store:
        first = time_refresh(store, settings, rebuild=True)
        again = [time_refresh(store, settings, rebuild=True) for _ in range(2)]
        n_users = store.read(USER_PROFILES).count()
    told = {k: v for k, v in settings.spark.conf.items() if ".resource." in k or "cores" in k}
    return {
        "users": n_users,
        "spark": told,
        "first_seconds": round(first, 1),
        "seconds": summarise_repeats(again),
    }


PARTS = {part.__name__: part for part in (bert, ranks, train, encode, refresh)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--folder", required=True, help="where it works, and leaves the model")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("gpu.py: torch finds no GPU here")
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    places = {"paths.models": str(folder / "models"), "paths.work": str(folder / "work")}
    settings = with_values(load_settings(arguments.config, arguments.set), places)
    for part in arguments.parts:
        device = torch.cuda.get_device_name(0)
        save_result("gpu", part, {"device": device} | PARTS[part](settings, folder))


if __name__ == "__main__":
    main()
