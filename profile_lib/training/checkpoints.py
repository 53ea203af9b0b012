"""Write and read checkpoints of a training: safetensors and JSON, complete or not at all."""

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

MAX_CHECKPOINTS = 2  # the last one, and one more in case the last one is damaged
TENSORS_FILE, STATE_FILE = "tensors.safetensors", "state.json"


@dataclass
class TrainingState:
    """The progress of a training.

    It holds no generator states: every random number depends on the seed, the step and the row
    alone.
    """

    stage: int = 0
    epoch: int = 0  # finished epochs of the stage
    batch: int = 0  # finished batches of the epoch
    steps_done: int = 0  # of the stage; the learning rate depends on it
    best_loss: float | None = None  # the stage's lowest validation loss
    epochs_since_best: int = 0
    curve: list[float] = field(default_factory=list)  # the global loss of every step
    epochs: list[dict[str, Any]] = field(default_factory=list)  # metrics of every epoch


class Checkpoint(NamedTuple):
    """The progress of a training, with its weights and optimizer state at that point."""

    state: TrainingState
    tensors: dict[str, Tensor]


class Checkpoints:
    """The checkpoints of one run, in a folder.

    The folder is on a local disk or any Hadoop file system, whose client has the properties
    `hadoop`. `run` identifies the run (model, data, plan); a checkpoint of another run is refused.
    """

    def __init__(self, path: str, run: Mapping[str, Any], hadoop: Mapping[str, str] | None = None):
        self.path, self.run_identity = path, json.loads(json.dumps(run))
        self.folder: Folder = open_folder(path, hadoop or {})

    def write(self, state: TrainingState, tensors: dict[str, Tensor]) -> None:
        """Add a checkpoint, then remove all except the last MAX_CHECKPOINTS.

        Raises InputError if the disk is full; earlier checkpoints stay.
        """
        name = f"step-{len(state.curve):09d}"
        with explain_full_disk(self.path), self.folder.open_for_writing(name) as fresh:
            save_file(_without_shared_memory(tensors), fresh / TENSORS_FILE)
            checksum = hash_file(fresh / TENSORS_FILE)
            document = {"run": self.run_identity, "state": vars(state), "sha256": checksum}
            (fresh / STATE_FILE).write_text(json.dumps(document), encoding="utf-8")
        for old in self._names()[:-MAX_CHECKPOINTS]:
            self.folder.remove(old)

    def load_last(self) -> Checkpoint | None:
        """Load the last complete checkpoint; return None if there is none.

        Raises InputError if it belongs to another run, or was changed after it was written.
        """
        for name in reversed(self._names()):
            with self.folder.open_for_reading(name) as checkpoint:
                if (checkpoint / STATE_FILE).is_file():  # an object store may hold a part of one
                    return self._read(f"{self.path}/{name}", checkpoint)
        return None

    def last_step(self) -> int | None:
        """Return the number of steps before the last checkpoint; None if there is none."""
        names = self._names()
        return int(names[-1].removeprefix("step-")) if names else None

    def _read(self, label: str, checkpoint: Path) -> Checkpoint:
        document = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
        if differences := _differences(document["run"], self.run_identity):
            raise InputError(
                f"{label}: a checkpoint of another run: {'; '.join(differences)}. Train without "
                "--resume, or with the settings it was begun with"
            )
        if hash_file(checkpoint / TENSORS_FILE) != document["sha256"]:
            raise InputError(
                f"{label}: {TENSORS_FILE} is not what was written; remove the folder, and the "
                "training resumes from the checkpoint before it"
            )
        return Checkpoint(TrainingState(**document["state"]), load_file(checkpoint / TENSORS_FILE))

    def clear(self) -> None:
        """Remove all checkpoints."""
        for name in self._names():
            self.folder.remove(name)

    def _names(self) -> list[str]:
        return sorted(n for n in self.folder.list_names() if n.startswith("step-") and "." not in n)


def _without_shared_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Clone tensors that share memory with an earlier one, which safetensors refuses."""
    addresses: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        address = tensor.data_ptr()
        separate[name] = tensor.clone() if address in addresses else tensor
        addresses.add(address)
    return separate


def _differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} was {stored.get(key)}, is {current.get(key)}"
        for key in sorted({*stored, *current})
        if stored.get(key) != current.get(key)
    ]
