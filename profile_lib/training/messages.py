"""What ranks tell the driver, by files in the folder that all of them share."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from profile_lib.errors import DivergedError, InputError
from profile_lib.training.loop import Tell
from profile_lib.training.rank import Outcome, RankJob
from profile_lib.training.ranks import Ranks

PROGRESS = "progress.jsonl"


def run_told(job: RankJob, ranks: Ranks) -> Outcome:
    """A job in a process of its own: progress, and what a user can mend, go to the driver."""
    folder = Path(job.folder)

    def tell(entry: dict[str, Any]) -> None:
        with (folder / PROGRESS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    try:
        return job.run(ranks, tell)
    except InputError as error:
        told = f"{type(error).__name__}\n{error}"
        (folder / f"error-{ranks.rank}.txt").write_text(told, encoding="utf-8")
        raise


@contextmanager
def listening(job: RankJob, tell: Tell) -> Iterator[None]:
    """While the body runs ranks, pass their progress on; raise what they say a user can mend."""
    folder = Path(job.folder)
    for old in folder.glob("error-*.txt"):
        old.unlink()
    with following(folder / PROGRESS, tell):
        try:
            yield
        except Exception as error:
            raise reason(folder) or error from error


def reason(folder: Path) -> InputError | None:
    """What a rank left behind that a user can mend."""
    told = sorted(folder.glob("error-*.txt"))
    if not told:
        return None
    kind, _, text = told[0].read_text(encoding="utf-8").partition("\n")
    return DivergedError(text) if kind == DivergedError.__name__ else InputError(text)


@contextmanager
def following(file: Path, tell: Tell) -> Iterator[None]:
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
                        tell(json.loads(part))
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
