"""What the benchmarks share: wall time, peak memory of a process tree, and results on disk."""

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"


class PeakMemory:
    """Samples the memory of a process and all below it, each 5 s; `gib` is the peak.

    Proportional set size: pages that processes share are counted once. For that the kernel walks
    all pages, 0.25 s of a core where they are some GiB: more often, it would be seen in the times.
    """

    def __init__(self, pid: int, every_seconds: float = 5.0) -> None:
        self.root = psutil.Process(pid)
        self.every_seconds = every_seconds
        self.gib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.every_seconds):
            self.gib = max(self.gib, _proportional_set_size(self.root) / 2**30)


def _proportional_set_size(root: psutil.Process) -> int:
    total = 0
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue  # it ended between the listing and the look
    return total


def run_measured(command: Sequence[str], log: Path) -> dict[str, float]:
    """Run a command, its output into `log`: seconds and peak GiB. Raises where it fails."""
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        with PeakMemory(process.pid) as memory:
            code = process.wait()
    if code != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    return {"seconds": round(time.monotonic() - began, 1), "peak_gib": round(memory.gib, 2)}


def summarise_repeats(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most of repeats."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "repeats": len(values),
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next(line.partition(": ")[2].strip() for line in lines if "model name" in line)


def save_result(name: str, part: str, result: dict[str, Any]) -> None:
    """Put `result` under `part` into results/`name`.json, with date, cores and processor."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }
    kept[part] = about | result
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    print(f"{part}: {json.dumps(kept[part], indent=1)}", flush=True)
