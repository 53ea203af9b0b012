"""Measure time and memory, and store the figures of all benchmarks."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.spark.session import start_spark

RESULTS = Path(__file__).parent / "results"
LINE_LENGTH = 100  # characters of a line of a results file
CITED_METRICS = ("roc_auc", "pr_auc", "calibration_error", "accuracy")
COMPARED_METHODS = (
    "model",
    "network",
    "gradient_boosting",
    "logistic_regression",
    "numbers_alone",
    "most_seen_category",
    "commonest_class",
)


class PeakMemory:
    """Sample the memory of a process and its descendants; `gib` is the peak.

    A sample is the proportional set size, which counts a page that processes share once. The kernel
    walks all pages for it, 0.25 s of a core for some GiB, so frequent samples would lengthen the
    measured times.
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
            continue  # the process ended after it was listed
    return total


def time_call(function: Callable[..., object], *arguments: object) -> float:
    """Return the seconds that a call takes."""
    start = time.monotonic()
    function(*arguments)
    return time.monotonic() - start


def run_measured(command: Sequence[str], log: Path) -> dict[str, float]:
    """Run a command with its output in `log`; return seconds and peak GiB.

    Raises SystemExit with the end of the log if the command fails.
    """
    start = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        with PeakMemory(process.pid) as memory:
            code = process.wait()
    if code != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    return {"seconds": round(time.monotonic() - start, 1), "peak_gib": round(memory.gib, 2)}


def summarise_repeats(values: Sequence[float]) -> dict[str, Any]:
    """Return the median, smallest and largest value, and how many there are."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "repeats": len(values),
    }


def summarise_ratios(numerators: Iterable[float], denominators: Iterable[float]) -> dict[str, Any]:
    """Summarise the ratio of each repeat's two values."""
    return summarise_repeats([a / b for a, b in zip(numerators, denominators, strict=True)])


def summarise_report(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the metrics of a model's test report that the documentation cites, per task."""
    return {
        task: {
            "rows": entry["n"],
            **({"positives": entry["positives"]} if "positives" in entry else {}),
            **{name: cite_metrics(entry[name]) for name in COMPARED_METHODS if name in entry},
        }
        for task, entry in tasks.items()
    }


def cite_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Keep the cited metrics of one method, rounded."""
    return {name: round(metrics[name], 4) for name in CITED_METRICS if name in metrics}


def read_report_summary(settings: Settings) -> dict[str, Any]:
    """Summarise the test report of the settings' model."""
    folder = Path(settings.paths.models) / settings.training.name
    return summarise_report(json.loads((folder / "report.json").read_text())["tasks"])


def make_parser(
    description: str | None,
    parts: Iterable[str] = (),
    *,
    config: str = "conf/ga.yaml",
    folder_help: str | None = None,
) -> argparse.ArgumentParser:
    """Build the parser of a benchmark: its parts, --config, --set, and --folder if it needs one."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if parts:
        parser.add_argument("parts", nargs="+", choices=list(parts))
    parser.add_argument("--config", default=config)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    if folder_help:
        parser.add_argument("--folder", required=True, type=Path, help=folder_help)
    return parser


def run_parts(
    benchmark: str,
    parts: Mapping[str, Callable[..., dict[str, Any]]],
    names: Iterable[str],
    *arguments: object,
) -> None:
    """Run the named parts of a benchmark and save the result of each."""
    for name in names:
        save_result(benchmark, name, parts[name](*arguments))


def settings_in_folder(folder: Path, config: str, *more: str) -> tuple[Settings, list[str]]:
    """Load `config` with all written paths inside `folder`; return settings and overrides."""
    overrides = path_overrides(folder)
    settings = load_settings(config)
    if settings.ingest.inputs.get("events") == settings.simulate.events_path:
        raw = f"{folder}/raw"
        overrides += [f"simulate.events_path={raw}/events", f"simulate.truth_path={raw}/truth"]
        overrides += [f"ingest.inputs={{events: {raw}/events, users: {raw}/users}}"]
    overrides += more
    return load_settings(config, overrides), overrides


def open_store(settings: Settings) -> Store:
    """Open the tables of the settings in a session of Spark."""
    spark = start_spark(settings.spark, "benchmark")
    return Store(spark, settings.paths.tables, settings.paths.identity)


def path_overrides(folder: Path) -> list[str]:
    """Overrides that move all written paths into `folder`."""
    names = ("tables", "identity", "models", "work")
    return [
        *[f"paths.{name}={folder}/{name}" for name in names],
        f"quality.report={folder}/quality.html",
        f"quality.metrics={folder}/quality.prom",
    ]


def set_options(overrides: Iterable[str]) -> list[str]:
    """Overrides as command-line options."""
    return [option for override in overrides for option in ("--set", override)]


def job_command(job: str, config: str, overrides: Iterable[str]) -> list[str]:
    """The command line of a job."""
    return [sys.executable, f"jobs/{job}.py", "--config", config, *set_options(overrides)]


def save_result(benchmark: str, part: str, result: Mapping[str, Any]) -> None:
    """Store `result` as the newest figures of a part in results/BENCHMARK.json, and print it.

    `measured` states the date, cores, processor and memory of the machine.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{benchmark}.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    measured = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }
    results[part] = {"measured": measured, **result}
    path.write_text(format_json(dict(sorted(results.items()))) + "\n")
    print(f"{part}: {format_json(results[part])}", flush=True)


def format_json(value: Any, depth: int = 0) -> str:
    """Format JSON with an object on one line if it fits, else one entry per line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or (depth and len(line) + 24 + depth <= LINE_LENGTH):
        return line
    pad = " " * (depth + 1)
    entries = [
        f"{pad}{json.dumps(str(key))}: {format_json(entry, depth + 1)}"
        for key, entry in value.items()
    ]
    return "{\n" + ",\n".join(entries) + "\n" + " " * depth + "}"


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next(line.partition(": ")[2].strip() for line in lines if "model name" in line)
