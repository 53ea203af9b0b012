"""What one rank does from start to end: read the model, fit it, predict the test split."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from profile_lib.model.checkpoint import load_model
from profile_lib.training.feed import Feed, check_folder
from profile_lib.training.loop import Loop, Plan, Tell
from profile_lib.training.predict import Predictions, predict, validation_metrics
from profile_lib.training.ranks import Ranks
from profile_lib.training.snapshot import SPLITS, Snapshot

START, FITTED = "start", "fitted.safetensors"


@dataclass(frozen=True)
class RankJob:
    """What every rank is told; `folder` is on a path that all of them share."""

    folder: str  # holds the model to start from, and takes the fitted weights
    snapshot: Snapshot
    plan: Plan
    shards: int
    window: int
    threads: int
    pad_id: int


@dataclass(frozen=True)
class Outcome:
    """What a rank returns, the same on each: bounded by training.evaluation_rows."""

    curve: list[float]  # the global loss of every step
    epochs: list[dict[str, Any]]
    predictions: Predictions  # of the test split


def run_rank(job: RankJob, ranks: Ranks, tell: Tell) -> Outcome:
    """Fit the model in `job.folder` with the other ranks; rank 0 writes the fitted weights.

    Only rank 0's `tell` is called. Raises InputError where the snapshot cannot be read safely,
    rows are missing or the loss is not a number.
    """
    model, spec, _ = load_model(f"{job.folder}/{START}")
    has_gpu = torch.cuda.is_available()
    device = torch.device(f"cuda:{ranks.local_rank}" if has_gpu else "cpu")
    binary = [i for i, task in enumerate(spec.tasks) if task.kind == "binary"]
    feeds = {split: _feed(job, split, ranks, binary) for split in SPLITS}
    size = job.plan.numeric_batch_size

    def validate(with_text: bool) -> dict[str, Any]:
        found = predict(loop.model, feeds["validation"], size, ranks, device, with_text=with_text)
        return validation_metrics(found, spec.tasks, job.plan.task_weights)

    with _threads(job.threads):
        loop = Loop(model, job.plan, ranks, device, tell if ranks.rank == 0 else _silent)
        epochs = loop.fit(feeds["train"], validate)
        predictions = predict(
            loop.model, feeds["test"], size, ranks, device, with_text=job.plan.epochs > 0
        )
    if ranks.rank == 0:
        weights = {k: v.cpu().contiguous() for k, v in loop.model.state_dict().items()}
        save_file(weights, Path(job.folder) / FITTED)
    return Outcome(loop.curve, epochs, predictions)


def _feed(job: RankJob, split: str, ranks: Ranks, binary: list[int]) -> Feed:
    folder = job.snapshot.split(split)
    check_folder(folder, job.shards)
    return Feed(
        folder=folder,
        rows=job.snapshot.rows[split],
        shards=job.shards,
        rank=ranks.rank,
        ranks=ranks.size,
        window=job.window,
        binary=binary,
        pad_id=job.pad_id,
        positives=job.snapshot.positives,
    )


def _silent(entry: dict[str, Any]) -> None:
    """The other ranks have nothing to say that rank 0 does not."""


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
