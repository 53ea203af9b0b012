"""A process that is to be killed, whole or in part, and the signs on disk of what it is about."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

POLL_SECONDS = 0.002
PARTS = ("driver", "jvm", "worker")


class Sign(NamedTuple):
    """A file below `folder` whose path there matches `pattern`, and that was not there before."""

    folder: Path
    pattern: str  # a regular expression

    def files(self) -> set[str]:
        """Those that are there."""
        found = set()
        for at, _, names in os.walk(self.folder):
            below = os.path.relpath(at, self.folder)
            found |= {path for n in names if re.search(self.pattern, path := f"{below}/{n}")}
        return found


class Victim:
    """A Python module, running in a session of its own: it, its JVM, and Spark's Python workers."""

    def __init__(self, module: str, changes: Sequence[str], config: Path, log: Path) -> None:
        command = [sys.executable, "-m", module, "--config", str(config)]
        command += [part for change in changes for part in ("--set", change)]
        self.log, self.start_time = log, time.monotonic()
        root = Path(__file__).parents[1]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=root, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def members(self) -> list[psutil.Process]:
        """All that run in its session, those too whose parent is gone; `info` says what they were
        at the moment of the look."""
        return [
            p for p in psutil.process_iter(["ppid", "status", "name", "cmdline"])
            if p.info["status"] != psutil.STATUS_ZOMBIE and _session(p.pid) == self.process.pid
        ]  # fmt: skip

    def part(self, name: str, which: float) -> psutil.Process | None:
        """The driver, the JVM, or a worker, at work if any is; without any, their parent.

        Which of several: from 0, the first, to below 1, the last. None where it has ended.
        """
        members = self.members()
        if name == "driver":
            there = [p for p in members if p.pid == self.process.pid]
        elif name == "jvm":
            there = [p for p in members if p.info["name"] == "java"]
        else:
            daemons = [p for p in members if "pyspark.daemon" in (p.info["cmdline"] or [])]
            above = {p.pid for p in daemons}
            workers = [p for p in daemons if p.info["ppid"] in above]
            busy = [p for p in workers if p.info["status"] == psutil.STATUS_RUNNING]
            there = busy or workers or daemons
        return there[int(which * len(there))] if there else None

    def strike(self, name: str, sign: Sign, delay: float, within: float, which: float) -> bool:
        """SIGKILL a part so many seconds after a sign; False where none came, or it had ended.

        The part is looked up beforehand, which takes a while; only workers come and go.
        """
        before, until = sign.files(), time.monotonic() + within
        part = None if name == "worker" else self.part(name, which)
        while not sign.files() - before:
            if time.monotonic() > until or self.process.poll() is not None:
                return False
            time.sleep(POLL_SECONDS)
        time.sleep(delay)
        part = part or self.part(name, which)
        if part is None:
            return False
        try:
            part.kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def stop(self, within: float) -> None:
        """What is left of it may end by itself `within` seconds; then it is killed."""
        until = time.monotonic() + within
        while (left := self.members()) and time.monotonic() < until:
            time.sleep(0.1)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def log_tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None  # it ended since
