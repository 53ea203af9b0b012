"""Where a training stands, to and from a folder: safetensors and JSON, whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from profile_lib.errors import InputError
from profile_lib.files import explain_full_disk
from profile_lib.fingerprint import hash_file
from profile_lib.training.atomic_folders import Folder, open_folder

MAX_CHECKPOINTS = 2  # the last one, and one more for whoever finds it broken
TENSORS, STATE_FILE = "tensors.safetensors", "state.json"


@dataclass
class TrainingState:
    """Where a training stands. Random states are not among it: every draw depends on the seed,
    the step and the row alone, so that the position says them all."""

    stage: int = 0
    epoch: int = 0  # of the stage, those that are over
    batch: int = 0  # of the epoch, those that were taken
    steps_done: int = 0  # steps of the stage, by which its learning rate falls
    best_loss: float | None = None  # the stage's best validation loss
    epochs_since_best: int = 0  # epochs since then
    curve: list[float] = field(default_factory=list)  # the global loss of every step
    epochs: list[dict[str, Any]] = field(default_factory=list)


class Checkpoint(NamedTuple):
    """A position and everything that was learned until then."""

    state: TrainingState
    tensors: dict[str, Tensor]


class Checkpoints:
    """The checkpoints of one run, in a folder on a local disk or any Hadoop file system.

    `run` says what the run is (model, data, plan): a checkpoint of another one is refused.
    """

    def __init__(self, path: str, run: Mapping[str, Any], hadoop: Mapping[str, str] | None = None):
        self.path, self.run_identity = path, json.loads(json.dumps(run))
        self.folder: Folder = open_folder(path, hadoop or {})

    def write(self, state: TrainingState, tensors: dict[str, Tensor]) -> None:
        """Add a checkpoint, then drop all but the last ones.

        Raises InputError where the disk is full; what was written before stays.
        """
        name = f"step-{len(state.curve):09d}"
        with explain_full_disk(self.path), self.folder.open_for_writing(name) as fresh:
            save_file(_without_shared_memory(tensors), fresh / TENSORS)
            digest = hash_file(fresh / TENSORS)
            told = {"run": self.run_identity, "state": vars(state), "sha256": digest}
            (fresh / STATE_FILE).write_text(json.dumps(told), encoding="utf-8")
        for old in self._names()[:-MAX_CHECKPOINTS]:
            self.folder.remove(old)

    def load_last(self) -> Checkpoint | None:
        """The last checkpoint, None where there is none.

        Raises InputError where it is of another run, or was changed after it was written.
        """
        for name in reversed(self._names()):
            with self.folder.open_for_reading(name) as found:
                if (found / STATE_FILE).is_file():  # else an object store holds a part of it
                    return self._read(f"{self.path}/{name}", found)
        return None

    def last_step(self) -> int | None:
        """After how many steps the last one was written, None where there is none."""
        names = self._names()
        return int(names[-1].removeprefix("step-")) if names else None

    def _read(self, where: str, found: Path) -> Checkpoint:
        told = json.loads((found / STATE_FILE).read_text(encoding="utf-8"))
        if differing := _differences(told["run"], self.run_identity):
            raise InputError(
                f"{where}: a checkpoint of another run: {'; '.join(differing)}. Train without "
                "--resume, or with the settings it was begun with"
            )
        if hash_file(found / TENSORS) != told["sha256"]:
            raise InputError(
                f"{where}: {TENSORS} is not what was written; remove the folder, and the "
                "training goes on from the checkpoint before it"
            )
        return Checkpoint(TrainingState(**told["state"]), load_file(found / TENSORS))

    def clear(self) -> None:
        """Remove all checkpoints."""
        for name in self._names():
            self.folder.remove(name)

    def _names(self) -> list[str]:
        return sorted(n for n in self.folder.list_names() if n.startswith("step-") and "." not in n)


def _without_shared_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, none of which share memory: safetensors takes no other."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        there = tensor.data_ptr()
        apart[name] = tensor.clone() if there in seen else tensor
        seen.add(there)
    return apart


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} was {found.get(key)}, is {wanted.get(key)}"
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]
