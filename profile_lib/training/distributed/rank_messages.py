"""Pass messages of training processes to the driver, by files in their shared folder."""

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
    """Run a job in this process; write its progress and InputErrors for the driver."""
    folder = Path(job.folder)

    def report_progress(entry: dict[str, Any]) -> None:
        with (folder / PROGRESS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    try:
        return job.run(process_group, report_progress)
    except InputError as error:
        message = f"{type(error).__name__}\n{error}"
        (folder / f"error-{process_group.rank}.txt").write_text(message, encoding="utf-8")
        raise


@contextmanager
def forward_messages(job: DistributedJob, report_progress: ReportProgress) -> Iterator[None]:
    """Report the progress of the processes that the body runs.

    If the body raises an error and a process wrote an InputError, the InputError is raised instead.
    """
    folder = Path(job.folder)
    for old in folder.glob("error-*.txt"):
        old.unlink()
    with follow_progress(folder / PROGRESS_FILE, report_progress):
        try:
            yield
        except Exception as error:
            raise read_process_error(folder) or error from error


def read_process_error(folder: Path) -> InputError | None:
    """Return the InputError that a process wrote to `folder`, None if there is none."""
    files = sorted(folder.glob("error-*.txt"))
    if not files:
        return None
    kind, _, message = files[0].read_text(encoding="utf-8").partition("\n")
    return DivergedError(message) if kind == DivergedError.__name__ else InputError(message)


@contextmanager
def follow_progress(file: Path, report_progress: ReportProgress) -> Iterator[None]:
    """Report each line that process 0 appends to `file` while the body runs."""
    file.unlink(missing_ok=True)
    file.touch()
    has_ended = threading.Event()

    def follow() -> None:
        with file.open(encoding="utf-8") as lines:
            unfinished = ""
            while True:
                is_last = has_ended.is_set()
                for text in iter(lines.readline, ""):
                    unfinished += text
                    if unfinished.endswith("\n"):
                        report_progress(json.loads(unfinished))
                        unfinished = ""
                if is_last:
                    return
                has_ended.wait(0.5)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        has_ended.set()
        follower.join()
