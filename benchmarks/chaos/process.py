"""Run a process to be killed, in whole or in part, and watch its signs on disk."""

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

from benchmarks.measure import set_options

POLL_SECONDS = 0.002
PARTS = ("driver", "jvm", "worker")


class Sign(NamedTuple):
    """A new file below `folder` whose path matches `pattern`."""

    folder: Path
    pattern: str  # a regular expression of the path relative to `folder`

    def files(self) -> set[str]:
        """The matching files that exist now."""
        files = set()
        for parent, _, names in os.walk(self.folder):
            below = os.path.relpath(parent, self.folder)
            files |= {path for n in names if re.search(self.pattern, path := f"{below}/{n}")}
        return files


class Victim:
    """A Python module in a session of its own: the driver, its JVM and Spark's Python workers."""

    def __init__(self, module: str, overrides: Sequence[str], config: Path, log: Path) -> None:
        command = [sys.executable, "-m", module, "--config", str(config), *set_options(overrides)]
        self.log, self.start_time = log, time.monotonic()
        root = Path(__file__).parents[2]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=root, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def members(self) -> list[psutil.Process]:
        """All processes of its session, orphans included.

        Their `info` describes them at the moment of listing.
        """
        return [
            p for p in psutil.process_iter(["ppid", "status", "name", "cmdline"])
            if p.info["status"] != psutil.STATUS_ZOMBIE and _session(p.pid) == self.process.pid
        ]  # fmt: skip

    def part(self, name: str, which: float) -> psutil.Process | None:
        """Return the driver, the JVM or a Python worker; None if it has ended.

        Workers that compute come first, then idle ones, then their parent. `which` chooses among
        several: 0 is the first, just below 1 the last.
        """
        members = self.members()
        if name == "driver":
            candidates = [p for p in members if p.pid == self.process.pid]
        elif name == "jvm":
            candidates = [p for p in members if p.info["name"] == "java"]
        else:
            daemons = [p for p in members if "pyspark.daemon" in (p.info["cmdline"] or [])]
            parents = {p.pid for p in daemons}
            workers = [p for p in daemons if p.info["ppid"] in parents]
            busy = [p for p in workers if p.info["status"] == psutil.STATUS_RUNNING]
            candidates = busy or workers or daemons
        return candidates[int(which * len(candidates))] if candidates else None

    def strike(self, name: str, sign: Sign, delay: float, within: float, which: float) -> bool:
        """SIGKILL a part `delay` seconds after a sign; False if no sign came or the part had ended.

        The driver and the JVM are found before the sign, as finding them takes a while; only
        workers come and go.
        """
        files_before, deadline = sign.files(), time.monotonic() + within
        part = None if name == "worker" else self.part(name, which)
        while not sign.files() - files_before:
            if time.monotonic() > deadline or self.process.poll() is not None:
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
        """Give the processes that are left `within` seconds to end, then kill them."""
        deadline = time.monotonic() + within
        while (left := self.members()) and time.monotonic() < deadline:
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
        return None  # the process ended after it was listed
