"""What every rank is told and returns, whatever it is to do."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from profile_lib.errors import InputError
from profile_lib.model.tasks import label_columns
from profile_lib.training.augment import Augmenter
from profile_lib.training.checkpoints import Checkpoints
from profile_lib.training.feed import Feed
from profile_lib.training.loop import Tell
from profile_lib.training.plan import Plan
from profile_lib.training.predict import Predictions
from profile_lib.training.ranks import Ranks
from profile_lib.training.snapshot import Snapshot

# Of a job, what says where and how fast it runs, not what comes of it.
ELSEWHERE = {"folder", "teacher", "snapshot", "threads", "checkpoint_path", "resume", "hadoop"}
START = "start"  # in a job's folder, the model to start from


@dataclass(frozen=True)
class Outcome:
    """What a rank returns, the same on each: bounded by training.evaluation_rows."""

    curve: list[float]  # the global loss of every step
    epochs: list[dict[str, Any]]
    predictions: Predictions  # of the test split


@dataclass(frozen=True)
class RankJob(ABC):
    """What every rank is told; `folder` is on a path that all of them share."""

    folder: str  # holds the model to start from, and takes the fitted one
    snapshot: Snapshot
    plan: Plan
    weights: tuple[float, ...]  # what each part of the objective counts
    shards: int
    window: int
    threads: int
    checkpoint_path: str  # a local disk or any Hadoop file system
    resume: bool = False
    hadoop: dict[str, str] = field(default_factory=dict)  # how that file system is reached

    @abstractmethod
    def run(self, ranks: Ranks, tell: Tell) -> Outcome:
        """What this rank does; only rank 0's `tell` is called."""

    def checkpoints(self, model_version: str) -> Checkpoints:
        """Those of this run: by its model, its rows, and all that steers the loss."""
        told = {k: v for k, v in asdict(self).items() if k not in ELSEWHERE}
        told |= {k: v for k, v in told.pop("plan").items() if not k.endswith("_steps")}
        told |= {"model": model_version, "rows": self.snapshot.rows}
        return Checkpoints(self.checkpoint_path, told, self.hadoop)

    def feed(self, split: str, ranks: Ranks, pad_id: int) -> Feed:
        """This rank's rows of a split."""
        tasks = label_columns(self.snapshot.tasks)
        return Feed(
            folder=self.snapshot.split(split),
            rows=self.snapshot.rows[split],
            files=self.snapshot.files[split],
            shards=self.shards,
            rank=ranks.rank,
            ranks=ranks.size,
            window=self.window,
            binary=[columns.start for task, columns in tasks if task.kind == "binary"],
            pad_id=pad_id,
            positives=self.snapshot.positives,
        )

    def augmenter(self, tokenizer_folder: str, bert: Any, max_tokens: int) -> Augmenter | None:
        """What changes the training texts, if anything does."""
        if not self.plan.augmentation.is_on:
            return None
        from profile_lib.training.near import find_near  # scikit-learn, which few ranks need

        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        later = int(tokenizer.vocab.get("later", -1))  # the last word of every pause
        vectors = bert.get_input_embeddings().weight.detach().cpu().numpy().astype(np.float64)
        separator, special = int(tokenizer.sep_token_id), list(tokenizer.all_special_ids)
        near = find_near(self.snapshot.split("train"), vectors, separator, later, special)
        pad_id = int(tokenizer.pad_token_id)
        return Augmenter(self.plan.augmentation, near, separator, later, pad_id, max_tokens)


def device_of(ranks: Ranks) -> torch.device:
    """The GPU that is this rank's, or the processor.

    Raises InputError where a machine has GPUs, but fewer than ranks: NCCL refuses to share one.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if ranks.local_rank >= (n := torch.cuda.device_count()):
        raise InputError(
            f"training.ranks: {ranks.size}, of which this machine got {ranks.local_rank + 1} or "
            f"more, but it has {n} GPUs and each rank takes one; set training.ranks to the number "
            "of GPUs"
        )
    return torch.device("cuda", ranks.local_rank)


def silent(entry: dict[str, Any]) -> None:
    """The other ranks have nothing to say that rank 0 does not."""


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
