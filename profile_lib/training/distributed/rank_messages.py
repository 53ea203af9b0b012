"""What ranks tell the driver, by files in the folder that all of them share."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from profile_lib.errors import DivergedError, InputError
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.distributed.rank_job import DistributedJob, TrainingResult
from profile_lib.training.loop import ReportProgress

PROGRESS_FILE = "progress.jsonl"


def run_and_report(job: DistributedJob, process_group: ProcessGroup) -> TrainingResult:
    """A job in a process of its own: progress, and what a user can mend, go to the driver."""
    folder = Path(job.folder)

    def report_progress(entry: dict[str, Any]) -> None:
        with (folder / PROGRESS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    try:
        return job.run(process_group, report_progress)
    except InputError as error:
        told = f"{type(error).__name__}\n{error}"
        (folder / f"error-{process_group.rank}.txt").write_text(told, encoding="utf-8")
        raise


@contextmanager
def forward_messages(job: DistributedJob, report_progress: ReportProgress) -> Iterator[None]:
    """While the body runs ranks, pass their progress on; raise what they say a user can mend."""
    folder = Path(job.folder)
    for old in folder.glob("error-*.txt"):
        old.unlink()
    with follow_progress(folder / PROGRESS_FILE, report_progress):
        try:
            yield
        except Exception as error:
            raise read_process_error(folder) or error from error


def read_process_error(folder: Path) -> InputError | None:
    """What a rank left behind that a user can mend."""
    told = sorted(folder.glob("error-*.txt"))
    if not told:
        return None
    kind, _, text = told[0].read_text(encoding="utf-8").partition("\n")
    return DivergedError(text) if kind == DivergedError.__name__ else InputError(text)


@contextmanager
def follow_progress(file: Path, report_progress: ReportProgress) -> Iterator[None]:
    """While the body runs, pass on what rank 0 appends to `file`, line by line."""
    file.unlink(missing_ok=True)
    file.touch()
    ended = threading.Event()

    def follow() -> None:
        with file.open(encoding="utf-8") as lines:
            part = ""
            while True:
                is_last = ended.is_set()
                for text in iter(lines.readline, ""):
                    part += text
                    if part.endswith("\n"):
                        report_progress(json.loads(part))
                        part = ""
                if is_last:
                    return
                ended.wait(0.5)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()
