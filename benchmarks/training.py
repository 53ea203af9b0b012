"""How fast training is: against Hugging Face's Trainer, Petastorm's rows, other ranks.

    python benchmarks/training.py trainer ranks loader --config conf/ga.yaml

Reads the table `examples` of the settings (run the jobs up to build_examples first), and writes
each part into benchmarks/results/training.json with date, cores and the spread of its repeats.
"""

import argparse
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from measure import save_result, summarise_repeats
from pyspark.sql import functions as F
from torch.optim import AdamW

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.features.tokens import add_tokens
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.training_checkpoints import hadoop_conf
from profile_lib.pipelines.training_inputs import prepare_initial_model, prepare_snapshot
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.spark.session import start_spark
from profile_lib.tables import EXAMPLES
from profile_lib.training.data.petastorm_loader import read_shard
from profile_lib.training.distributed.horovod_launcher import HorovodOptions
from profile_lib.training.distributed.launch import (
    LauncherName,
    check_batch_division,
    check_slots,
    make_launcher,
)
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.fit import FitJob
from profile_lib.training.objectives.supervised import SupervisedObjective

REPEATS = 5
ROWS = 1024  # trained on in one pass
PARALLEL_ROWS = 2048  # the same, by two ranks: of more rows each has about as many
WARM_UP_STEPS = 8  # steps after which ranks are counted: before it they meet and open their files
MAX_TOKENS = 128  # tokens
LOADER_ROWS = 60_000  # rows that the loaders read
FULL_TUNING = {  # all of the encoder, one pass with the text
    "training.tuning.method": "all", "training.epochs": 1, "training.numeric_epochs": 0,
    "training.negative_downsampling_rate": 1.0, "training.batch_size": 32, "training.progress_steps": 1,
    "training.checkpoint_steps": None, "training.evaluation_rows": 64,
}  # fmt: skip
TARGETS = {"trainer": 2.0, "ranks": 0.95, "ddp": 1.0, "loader": 20.0, "data_wait": 0.02}


class PreparedTraining:
    """A snapshot of a few rows and the model to start from, in a folder of its own."""

    def __init__(
        self, settings: Settings, folder: Path, n_rows: int, max_tokens: int | None = None
    ) -> None:
        self.settings, self.folder = settings, folder
        self.spark = start_spark(settings.spark, "benchmark")
        examples = Store(self.spark, settings.paths.tables).read(EXAMPLES)
        drawn = F.xxhash64("user_id", "cutoff_ts")
        train_rows = examples.where("split = 'train'").orderBy(drawn).limit(n_rows)
        others = examples.where("split <> 'train'").orderBy(drawn).limit(n_rows)
        rows, encoder = train_rows.unionByName(others), encoder_folder(settings.model.encoder)
        if max_tokens is not None:
            rows = add_tokens(rows.drop("token_ids", "n_tokens"), encoder, max_tokens)
        self.snapshot = prepare_snapshot(rows, settings, folder)
        prepare_initial_model(self.spark, self.snapshot, settings, folder, encoder, {})

    def mean_tokens(self) -> float:
        """Tokens of a train row, without the padding."""
        row = self.spark.read.parquet(self.snapshot.split("train")).agg(F.avg("n_tokens")).first()
        return round(float(row[0]), 1)  # type: ignore[index]

    def job(self, n_processes: int, threads: int) -> FitJob:
        """A training of one pass."""
        given = self.settings.training
        weights = tuple(task.weight for task in self.settings.model.tasks)
        return FitJob(
            str(self.folder), self.snapshot, make_plan(self.settings), weights, given.shards,
            given.shuffle_rows, threads, str(self.folder / "checkpoints"), False,
            hadoop_conf(self.spark),
        )  # fmt: skip

    def rate(self, launcher: LauncherName, n_processes: int, threads: int) -> dict[str, float]:
        """Examples a second of the pass, and the share of the time waiting for data."""
        given, told = self.settings.training, list[dict[str, Any]]()
        options = HorovodOptions(**given.horovod.model_dump(), stall_seconds=given.stall_seconds)
        job = self.job(n_processes, threads)
        check_batch_division(
            job.plan.batch_size, job.plan.numeric_batch_size, job.shards, n_processes
        )
        check_slots(self.spark, n_processes)
        make_launcher(launcher, self.spark, options).run(job, n_processes, told.append)
        speeds = {e["step"]: e["examples_per_second"] for e in told if "step" in e}
        last, size = max(speeds), given.batch_size
        seconds = last * size / speeds[last] - WARM_UP_STEPS * size / speeds[WARM_UP_STEPS]
        (epoch,) = [entry for entry in told if "data_wait" in entry]
        return {
            "rate": speeds[last],
            "rate_after_warm_up": (last - WARM_UP_STEPS) * size / seconds,
            "data_wait": epoch["data_wait"],
        }


def prepare_training(
    arguments: argparse.Namespace, folder: str, n_rows: int = ROWS, max_tokens: int | None = None
) -> PreparedTraining:
    """What every part begins with."""
    settings = with_values(load_settings(arguments.config), FULL_TUNING)
    return PreparedTraining(settings, Path(folder) / "train", n_rows, max_tokens)


def trainer(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ours against Hugging Face's Trainer with its defaults, on the same rows and two threads.

    The Trainer's default collator takes rows of one length, so they come padded to the limit; a
    collator that pads to the batch's longest is measured beside it. Texts are cut where the
    settings cut them, and as long as BERT's own tasks have them.
    """
    as_set = load_settings(arguments.config).examples.max_tokens
    rows = {as_set: ROWS, MAX_TOKENS: ROWS // 2}
    return {f"{n}_tokens": compare_trainer_at_length(arguments, n, rows[n]) for n in rows}


def compare_trainer_at_length(
    arguments: argparse.Namespace, max_tokens: int, n_rows: int
) -> dict[str, Any]:
    """The comparison at one length of texts."""
    with tempfile.TemporaryDirectory() as folder:
        given = prepare_training(arguments, folder, n_rows, max_tokens)
        ours, default, trimmed = [], [], []
        for _ in range(REPEATS):
            ours.append(given.rate("in_process", 1, 2))
            default.append(trainer_rate(given, trims_padding=False))
            trimmed.append(trainer_rate(given, trims_padding=True))
        mean_tokens = given.mean_tokens()
    rates = [o["rate"] for o in ours]
    return {
        "rows": n_rows,
        "mean_tokens": mean_tokens,
        "ours_per_second": summarise_repeats(rates),
        "trainer_per_second": summarise_repeats(default),
        "trimming_trainer_per_second": summarise_repeats(trimmed),
        "ratio": summarise_repeats([o / t for o, t in zip(rates, default, strict=True)]),
        "ratio_to_trimming": summarise_repeats(
            [o / t for o, t in zip(rates, trimmed, strict=True)]
        ),
        "target_ratio": TARGETS["trainer"],
        "data_wait": summarise_repeats([o["data_wait"] for o in ours]),
        "target_data_wait": TARGETS["data_wait"],
    }


def trainer_rate(given: PreparedTraining, *, trims_padding: bool) -> float:
    """Examples a second of one pass of the Trainer over the snapshot's train rows."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    start = encoder_folder(given.settings.model.encoder)
    rows = []
    for window in read_shard(given.snapshot.split("train"), 0, 1, (0,), 4096, True):
        for ids, n, labels in zip(
            window["token_ids"], window["n_tokens"], window["labels"], strict=True
        ):
            kept = ids[:n] if trims_padding else ids
            mask = (np.arange(len(kept)) < n).astype(int)
            rows.append(
                {
                    "input_ids": kept.tolist(),
                    "attention_mask": mask.tolist(),
                    "labels": int(labels[0]),
                }
            )
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=2)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=1, use_cpu=True, report_to=[], save_strategy="no",
            logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        collator = (
            DataCollatorWithPadding(AutoTokenizer.from_pretrained(start)) if trims_padding else None
        )
        run = Trainer(model, arguments, train_dataset=rows, data_collator=collator)
        began = time.monotonic()
        run.train()
        return len(rows) / (time.monotonic() - began)


def ranks(arguments: argparse.Namespace) -> dict[str, Any]:
    """Two ranks of one thread against one of two, and against torch's DDP over Gloo."""
    with tempfile.TemporaryDirectory() as folder:
        given = prepare_training(arguments, folder, PARALLEL_ROWS)
        found: dict[str, list[float]] = {
            "single_process": [],
            "horovod": [],
            "torch": [],
            "ddp": [],
        }
        for _ in range(REPEATS):
            found["single_process"].append(given.rate("in_process", 1, 2)["rate_after_warm_up"])
            found["horovod"].append(given.rate("horovod", 2, 1)["rate_after_warm_up"])
            found["torch"].append(given.rate("torch", 2, 1)["rate_after_warm_up"])
            found["ddp"].append(ddp_rate(given))
    against_one = [h / a for h, a in zip(found["horovod"], found["single_process"], strict=True)]
    against_ddp = [h / d for h, d in zip(found["horovod"], found["ddp"], strict=True)]
    return {
        "rows": PARALLEL_ROWS,
        **{f"{name}_per_second": summarise_repeats(values) for name, values in found.items()},
        "two_ranks_to_one": summarise_repeats(against_one),
        "target_two_ranks_to_one": TARGETS["ranks"],
        "horovod_to_ddp": summarise_repeats(against_ddp),
        "target_horovod_to_ddp": TARGETS["ddp"],
    }


def ddp_rate(given: PreparedTraining) -> float:
    """Examples a second of a plain loop under DistributedDataParallel, on the same batches."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = given.job(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rate"
        torch.multiprocessing.spawn(ddp_rank, (job, port, str(out)), nprocs=2)
        return float(out.read_text())


def ddp_rank(rank: int, job: FitJob, port: int, out: str) -> None:
    """One of two ranks."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(job.threads)
    model, spec, _ = load_model(f"{job.folder}/{INITIAL_MODEL}")
    place = SingleProcess()
    place.rank, place.size = rank, 2  # type: ignore[misc]
    loader = job.make_loader("train", place, 0)
    objective = SupervisedObjective(spec.tasks, job.weights, job.plan, None)
    stage = objective.stages[1]
    groups = list(objective.parameter_groups(model, stage))
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = AdamW(groups, fused=True)
    model.train()
    # Shards are not of one length: all ranks pass as many batches as the shortest has.
    n_steps = torch.tensor(sum(1 for _ in loader.batches(stage.size, (0,), with_text=True)))
    dist.all_reduce(n_steps, dist.ReduceOp.MIN)
    batches = islice(loader.batches(stage.size, (0,), with_text=True), int(n_steps))
    for step, batch in enumerate(batches):
        if step == WARM_UP_STEPS:
            began = time.monotonic()
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        sums = objective.loss_sums(wrapped, tensors, stage)
        optimizer.zero_grad()
        (sums / objective.weight_sums(tensors).clamp(min=1)).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), job.plan.max_grad_norm)
        optimizer.step()
    dist.barrier()
    if rank == 0:
        rows = (int(n_steps) - WARM_UP_STEPS) * stage.size
        Path(out).write_text(str(rows / (time.monotonic() - began)))
    dist.destroy_process_group()


def loader(arguments: argparse.Namespace) -> dict[str, Any]:
    """Rows a second of the feed, ready as batches, against Petastorm's make_reader."""
    from petastorm import make_reader
    from petastorm.codecs import NdarrayCodec, ScalarCodec
    from petastorm.etl.dataset_metadata import materialize_dataset
    from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
    from pyspark.sql.types import FloatType, IntegerType, LongType

    warnings.filterwarnings("ignore", module="petastorm")
    with tempfile.TemporaryDirectory() as folder:
        given = prepare_training(arguments, folder, LOADER_ROWS)
        source = given.snapshot.split("train")
        rows = given.spark.read.parquet(source)
        width = len(rows.first()["numeric"])
        length = given.snapshot.max_tokens
        n_labels = len(rows.first()["labels"])
        schema = Unischema(
            "Examples",
            [
                UnischemaField("token_ids", np.int32, (length,), NdarrayCodec(), False),
                UnischemaField("n_tokens", np.int32, (), ScalarCodec(IntegerType()), False),
                UnischemaField("numeric", np.float32, (width,), NdarrayCodec(), False),
                UnischemaField("labels", np.float32, (n_labels,), NdarrayCodec(), False),
                UnischemaField("weight", np.float32, (), ScalarCodec(FloatType()), False),
                UnischemaField("row_hash", np.int64, (), ScalarCodec(LongType()), False),
            ],
        )  # fmt: skip
        own = (Path(folder) / "petastorm").as_uri()
        kinds = {"token_ids": np.int32, "numeric": np.float32, "labels": np.float32}

        def encoded(row: Any) -> Any:
            values = {f: row[f] for f in schema.fields}
            arrays = {f: np.array(values[f], kind) for f, kind in kinds.items()}
            scalars = {"n_tokens": np.int32(values["n_tokens"]),
                       "weight": np.float32(values["weight"]),
                       "row_hash": np.int64(values["row_hash"])}  # fmt: skip
            return dict_to_spark_row(schema, arrays | scalars)

        with materialize_dataset(given.spark, own, schema, 16):
            encoded_rows = rows.rdd.map(encoded)
            given.spark.createDataFrame(encoded_rows, schema.as_spark_schema()).write.parquet(own)
        n, ours, theirs = given.snapshot.rows["train"], [], []
        for repeat in range(REPEATS):
            loader = given.job(1, 1).make_loader("train", SingleProcess(), 0)
            ours.append(n / time_iteration(loader.batches(32, (repeat,), with_text=True)))
            with make_reader(own, num_epochs=1, reader_pool_type="dummy") as reader:
                theirs.append(n / time_iteration(iter(reader)))
    ratios = [o / t for o, t in zip(ours, theirs, strict=True)]
    return {
        "rows": n,
        "loader_per_second": summarise_repeats(ours),
        "make_reader_per_second": summarise_repeats(theirs),
        "ratio": summarise_repeats(ratios),
        "target_ratio": TARGETS["loader"],
    }


def time_iteration(items: Iterator[Any]) -> float:
    """Seconds until there are no more."""
    began = time.monotonic()
    for _ in items:
        continue
    return time.monotonic() - began


PARTS = {part.__name__: part for part in (trainer, ranks, loader)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--config", default="conf/ga.yaml")
    chosen = parser.parse_args()
    for part in chosen.parts:
        save_result("training", part, PARTS[part](chosen))
