"""Store the finished stages of a run, so that a failed run can continue."""

import json
from pathlib import Path

from profile_lib.files import write_text_atomically


class RunState:
    """The finished stages of a run, and the stage that was running when it failed.

    They are stored in a file in `folder`. A run reads it only if its `fingerprint`, a hash of the
    settings, is the stored one; any other run starts from the beginning.
    """

    def __init__(self, folder: str, fingerprint: str) -> None:
        self.file = Path(folder) / "run_all.json"
        self.fingerprint = fingerprint
        self.done: list[str] = []
        self.running_stage: str | None = None
        if self.file.is_file():
            stored = json.loads(self.file.read_text(encoding="utf-8"))
            if stored["fingerprint"] == fingerprint:
                self.done, self.running_stage = stored["done"], stored["running_stage"]

    def begin(self, stage: str) -> None:
        """Store that a stage has started."""
        self.running_stage = stage
        self._write()

    def finish(self, stage: str) -> None:
        """Store that a stage is done."""
        self.done.append(stage)
        self.running_stage = None
        self._write()

    def clear(self) -> None:
        """Remove the file, so that the next run starts from the beginning."""
        self.file.unlink(missing_ok=True)

    def _write(self) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "done": self.done,
            "running_stage": self.running_stage,
        }
        write_text_atomically(self.file, json.dumps(state))
