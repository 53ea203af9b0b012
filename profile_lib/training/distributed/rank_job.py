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
from profile_lib.model.tasks import slice_label_columns
from profile_lib.training.checkpoints import Checkpoints
from profile_lib.training.data.augmentation import Augmenter
from profile_lib.training.data.petastorm_loader import PetastormLoader
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.evaluation.predictions import Predictions
from profile_lib.training.loop import ReportProgress
from profile_lib.training.plan import TrainingPlan

# Of a job, what says where and how fast it runs, not what comes of it.
RESULT_NEUTRAL_FIELDS = {
    "folder",
    "teacher",
    "snapshot",
    "threads",
    "checkpoint_path",
    "resume",
    "hadoop",
}
INITIAL_MODEL = "initial_model"  # in a job's folder, the model to start from


@dataclass(frozen=True)
class TrainingResult:
    """What a rank returns, the same on each: bounded by training.evaluation_rows."""

    curve: list[float]  # the global loss of every step
    epochs: list[dict[str, Any]]
    predictions: Predictions  # of the test split


@dataclass(frozen=True)
class DistributedJob(ABC):
    """What every rank is told; `folder` is on a path that all of them share."""

    folder: str  # holds the model to start from, and takes the fitted one
    snapshot: Snapshot
    plan: TrainingPlan
    weights: tuple[float, ...]  # what each part of the objective counts
    shards: int
    shuffle_rows: int
    threads: int
    checkpoint_path: str  # a local disk or any Hadoop file system
    resume: bool = False
    hadoop: dict[str, str] = field(default_factory=dict)  # how that file system is reached

    @abstractmethod
    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """What this rank does; only rank 0's `report_progress` is called."""

    def open_checkpoints(self, model_version: str) -> Checkpoints:
        """Those of this run: by its model, its rows, and all that steers the loss."""
        told = {k: v for k, v in asdict(self).items() if k not in RESULT_NEUTRAL_FIELDS}
        told |= {k: v for k, v in told.pop("plan").items() if not k.endswith("_steps")}
        told |= {"model": model_version, "rows": self.snapshot.rows}
        return Checkpoints(self.checkpoint_path, told, self.hadoop)

    def make_loader(self, split: str, process_group: ProcessGroup, pad_id: int) -> PetastormLoader:
        """This rank's rows of a split."""
        tasks = slice_label_columns(self.snapshot.tasks)
        return PetastormLoader(
            folder=self.snapshot.split(split),
            rows=self.snapshot.rows[split],
            files=self.snapshot.files[split],
            shards=self.shards,
            rank=process_group.rank,
            world_size=process_group.size,
            window=self.shuffle_rows,
            binary=[columns.start for task, columns in tasks if task.definition.is_binary],
            pad_id=pad_id,
            positives=self.snapshot.positives,
        )

    def make_augmenter(self, tokenizer_folder: str, bert: Any, max_tokens: int) -> Augmenter | None:
        """What changes the training texts, if anything does."""
        if not self.plan.augmentation.is_on:
            return None
        from profile_lib.training.data.near_words import (
            find_substitutes,  # scikit-learn, which few ranks need
        )

        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        later = int(tokenizer.vocab.get("later", -1))  # the last word of every pause
        vectors = bert.get_input_embeddings().weight.detach().cpu().numpy().astype(np.float64)
        separator, special = int(tokenizer.sep_token_id), list(tokenizer.all_special_ids)
        substitutes = find_substitutes(
            self.snapshot.split("train"), vectors, separator, later, special
        )
        pad_id = int(tokenizer.pad_token_id)
        return Augmenter(self.plan.augmentation, substitutes, separator, later, pad_id, max_tokens)


def select_device(process_group: ProcessGroup) -> torch.device:
    """The GPU that is this rank's, or the processor.

    Raises InputError where a machine has GPUs, but fewer than ranks: NCCL refuses to share one.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if process_group.local_rank >= (n := torch.cuda.device_count()):
        raise InputError(
            f"training.n_processes: {process_group.size}, of which this machine got {process_group.local_rank + 1} or "
            f"more, but it has {n} GPUs and each rank takes one; set training.n_processes to the number "
            "of GPUs"
        )
    return torch.device("cuda", process_group.local_rank)


def ignore_progress(entry: dict[str, Any]) -> None:
    """The other ranks have nothing to say that rank 0 does not."""


@contextmanager
def limit_torch_threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
