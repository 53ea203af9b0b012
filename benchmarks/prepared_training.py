"""Prepare a small training and measure its rate: what training benchmarks share."""

import argparse
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.features.tokens import add_tokens
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.training_checkpoints import hadoop_conf
from profile_lib.pipelines.training_inputs import prepare_initial_model, prepare_snapshot
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.spark.session import start_spark
from profile_lib.tables import EXAMPLES
from profile_lib.training.distributed.horovod_launcher import HorovodOptions
from profile_lib.training.distributed.launch import (
    LauncherName,
    check_batch_division,
    check_slots,
    make_launcher,
)
from profile_lib.training.fit import FitJob

ROWS = 1024  # rows of one pass
WARM_UP_STEPS = 8  # not counted, as processes connect and open their files
FULL_TUNING = {  # the whole encoder, one pass with the text
    "training.tuning.method": "all", "training.epochs": 1, "training.numeric_epochs": 0,
    "training.negative_downsampling_rate": 1.0, "training.batch_size": 32,
    "training.progress_steps": 1, "training.checkpoint_steps": None, "training.evaluation_rows": 64,
}  # fmt: skip


class PreparedTraining:
    """A snapshot of a few rows and the initial model, in a folder of its own."""

    def __init__(
        self, settings: Settings, folder: Path, n_rows: int, max_tokens: int | None = None
    ) -> None:
        self.settings, self.folder = settings, folder
        self.spark = start_spark(settings.spark, "benchmark")
        examples = Store(self.spark, settings.paths.tables, settings.paths.identity).read(EXAMPLES)
        order = F.xxhash64("user_id", "cutoff_ts")
        train_rows = examples.where("split = 'train'").orderBy(order).limit(n_rows)
        others = examples.where("split <> 'train'").orderBy(order).limit(n_rows)
        rows, encoder = train_rows.unionByName(others), encoder_folder(settings.model.encoder)
        if max_tokens is not None:
            rows = add_tokens(rows.drop("token_ids", "n_tokens"), encoder, max_tokens)
        self.snapshot = prepare_snapshot(rows, settings, folder)
        prepare_initial_model(self.spark, self.snapshot, settings, folder, encoder, {})

    def mean_tokens(self) -> float:
        """Mean tokens of a train row, without padding."""
        row = self.spark.read.parquet(self.snapshot.split("train")).agg(F.avg("n_tokens")).first()
        return round(float(row[0]), 1)  # type: ignore[index]

    def job(self, threads: int) -> FitJob:
        """A training of one pass by processes of `threads` threads."""
        training = self.settings.training
        weights = tuple(task.weight for task in self.settings.model.tasks)
        return FitJob(
            str(self.folder), self.snapshot, make_plan(self.settings), weights, training.shards,
            training.shuffle_rows, threads, str(self.folder / "checkpoints"), False,
            hadoop_conf(self.spark),
        )  # fmt: skip

    def rate(self, launcher: LauncherName, n_processes: int, threads: int) -> dict[str, float]:
        """Examples per second of the pass, and the share of the time spent waiting for data."""
        training, entries = self.settings.training, list[dict[str, Any]]()
        options = HorovodOptions(
            **training.horovod.model_dump(), stall_seconds=training.stall_seconds
        )
        job = self.job(threads)
        check_batch_division(
            job.plan.batch_size, job.plan.numeric_batch_size, job.shards, n_processes
        )
        check_slots(self.spark, n_processes)
        make_launcher(launcher, self.spark, options).run(job, n_processes, entries.append)
        speeds = {e["step"]: e["examples_per_second"] for e in entries if "step" in e}
        last, size = max(speeds), training.batch_size
        seconds = last * size / speeds[last] - WARM_UP_STEPS * size / speeds[WARM_UP_STEPS]
        (epoch,) = [entry for entry in entries if "data_wait" in entry]
        return {
            "rate": speeds[last],
            "rate_after_warm_up": (last - WARM_UP_STEPS) * size / seconds,
            "data_wait": epoch["data_wait"],
        }


def prepare_training(
    arguments: argparse.Namespace, folder: str, n_rows: int = ROWS, max_tokens: int | None = None
) -> PreparedTraining:
    """Prepare a pass that tunes the whole encoder."""
    settings = with_values(load_settings(arguments.config, arguments.set), FULL_TUNING)
    return PreparedTraining(settings, Path(folder) / "train", n_rows, max_tokens)
