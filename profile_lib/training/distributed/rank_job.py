"""Define the work that every process of a training does."""

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
from profile_lib.training.loop import ReportProgress, TrainingLoop
from profile_lib.training.objectives.supervised import Objective
from profile_lib.training.plan import TrainingPlan

# Fields of a job that determine where and how fast it runs, but not its result.
RESULT_NEUTRAL_FIELDS = {
    "folder", "teacher", "snapshot", "threads", "checkpoint_path", "resume", "hadoop",
    "predicts_validation",
}  # fmt: skip
INITIAL_MODEL = "initial_model"  # the subfolder of a job's folder with the model to start from


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training, which every process returns.

    It is small enough for the driver, because training.evaluation_rows limits the predictions.
    """

    curve: list[float]  # the global loss of every step
    epochs: list[dict[str, Any]]  # as `TrainingLoop.fit` returns them
    predictions: Predictions  # of the test split
    validation: Predictions = field(default_factory=dict)  # of the validation split, if needed


@dataclass(frozen=True)
class DistributedJob(ABC):
    """The work of the processes of a training; all get the same fields."""

    folder: str  # of the initial and the fitted model; on a path that all processes share
    snapshot: Snapshot
    plan: TrainingPlan
    weights: tuple[float, ...]  # of the parts of the objective
    shards: int
    shuffle_rows: int  # rows of a shard that are shuffled together
    threads: int  # processor threads per process
    checkpoint_path: str  # on a local disk or any Hadoop file system
    resume: bool = False
    predicts_validation: bool = False  # whether the result holds predictions of that split
    hadoop: dict[str, str] = field(default_factory=dict)  # settings of that file system

    @abstractmethod
    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Do this process's part; only process 0 calls `report_progress`."""

    def make_loop(
        self,
        model: Any,
        objective: Objective,
        process_group: ProcessGroup,
        device: torch.device,
        report_progress: ReportProgress,
        model_version: str,
    ) -> TrainingLoop:
        """Return the loop that fits `model` by the job's plan, with the job's checkpoints."""
        return TrainingLoop(
            model,
            objective,
            self.plan,
            process_group,
            device,
            report_progress if process_group.rank == 0 else ignore_progress,
            self.open_checkpoints(model_version),
        )

    def open_checkpoints(self, model_version: str) -> Checkpoints:
        """Return the checkpoints of this run.

        The run is identified by its model, its rows and all fields that affect its loss.
        """
        run = {k: v for k, v in asdict(self).items() if k not in RESULT_NEUTRAL_FIELDS}
        run |= {k: v for k, v in run.pop("plan").items() if not k.endswith("_steps")}
        run |= {"model": model_version, "rows": self.snapshot.rows}
        return Checkpoints(self.checkpoint_path, run, self.hadoop)

    def make_loader(self, split: str, process_group: ProcessGroup, pad_id: int) -> PetastormLoader:
        """Return the loader of this process's rows of a split."""
        tasks = slice_label_columns(self.snapshot.tasks)
        return PetastormLoader(
            folder=self.snapshot.split(split),
            rows=self.snapshot.rows[split],
            files=self.snapshot.files[split],
            shards=self.shards,
            rank=process_group.rank,
            world_size=process_group.size,
            window=self.shuffle_rows,
            binary_columns=[columns.start for task, columns in tasks if task.definition.is_binary],
            pad_id=pad_id,
            positives=self.snapshot.positives,
        )

    def make_augmenter(self, tokenizer_folder: str, bert: Any, max_tokens: int) -> Augmenter | None:
        """Return the augmenter of the training texts, None if the plan has no augmentation."""
        if not self.plan.augmentation.is_on:
            return None
        # Imported here because it needs scikit-learn, which most trainings don't.
        from profile_lib.training.data.near_words import find_substitutes

        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        pause_id = int(tokenizer.vocab.get("later", -1))  # the last word of every pause
        vectors = bert.get_input_embeddings().weight.detach().cpu().numpy().astype(np.float64)
        separator, special = int(tokenizer.sep_token_id), list(tokenizer.all_special_ids)
        substitutes = find_substitutes(
            self.snapshot.split("train"), vectors, separator, pause_id, special
        )
        rates, pad_id = self.plan.augmentation, int(tokenizer.pad_token_id)
        return Augmenter(rates, substitutes, separator, pause_id, pad_id, max_tokens)


def select_device(process_group: ProcessGroup) -> torch.device:
    """Return this process's GPU, or the CPU if the machine has no GPU.

    Raises InputError if the machine has fewer GPUs than processes: NCCL refuses to share one.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if process_group.local_rank >= (n_gpus := torch.cuda.device_count()):
        raise InputError(
            f"training.n_processes: {process_group.size}, and this machine got "
            f"{process_group.local_rank + 1} of them or more, but it has {n_gpus} GPUs and each "
            "process takes one; set training.n_processes to the number of GPUs"
        )
    return torch.device("cuda", process_group.local_rank)


def ignore_progress(entry: dict[str, Any]) -> None:
    """Ignore an entry: the progress of process 0 is that of all processes."""


@contextmanager
def limit_torch_threads(n: int) -> Iterator[None]:
    """Limit torch to `n` threads while the body runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
