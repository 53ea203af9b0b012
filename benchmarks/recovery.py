"""Kill processes of a distributed training at random steps, and measure its recovery.

    python -m benchmarks.recovery --config conf/ga.yaml --kills 20

Reads the table `examples` of the settings (run the jobs up to build_examples first). Each training
has two Horovod ranks and trains on the numbers, then with the text. The victim is a rank, or the
Spark worker that started it, at a random step of either stage. Writes
benchmarks/results/recovery.json: the trainings that recovered, the seconds until the next step, and
the steps lost.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.measure import make_parser, save_result, summarise_repeats
from benchmarks.prepared_training import PreparedTraining
from profile_lib.config.settings import load_settings, with_values
from profile_lib.pipelines.model_training import fit

ROWS = 512  # of train, and of the other splits together; the text stage takes far longer
CHECKPOINT_STEPS = 5  # steps between two checkpoints
TARGET_SECONDS = 60
CHANGES = {
    "training.n_processes": 2, "training.launcher": "horovod", "training.retries": 2,
    "training.checkpoint_steps": CHECKPOINT_STEPS, "training.progress_steps": 1,
    "training.numeric_epochs": 2, "training.numeric_batch_size": 64,
    "training.epochs": 1, "training.batch_size": 32, "training.negative_downsampling_rate": 1.0,
    "training.evaluation_rows": 64,
}  # fmt: skip


class Kill(threading.Thread):
    """Kill a rank, or the Spark worker above it, once `step` steps have been reported."""

    def __init__(self, step: int, rank: int, worker: bool) -> None:
        super().__init__(daemon=True)
        self.step, self.rank, self.worker = step, rank, worker
        self.reached = threading.Event()
        self.killed_at = 0.0

    def run(self) -> None:
        """Wait for the step, then kill."""
        self.reached.wait()
        ranks = sorted(
            python_processes("horovod.spark.task.gloo_exec_fn"), key=lambda p: p.create_time()
        )
        victim = ranks[self.rank]
        if self.worker:
            workers = [p for p in victim.parents() if "pyspark" in " ".join(p.cmdline())]
            victim = workers[0]
        self.killed_at = time.monotonic()
        victim.kill()


def python_processes(word: str) -> list[psutil.Process]:
    """Descendants of this process that run Python with `word` on their command line."""
    matching = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            line = process.cmdline()
        except psutil.NoSuchProcess:
            continue  # the process ended after it was listed
        if line and "python" in Path(line[0]).name and word in line:
            matching.append(process)
    return matching


def measure_recovery(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train once without a kill, then once per kill."""
    settings = with_values(load_settings(arguments.config, arguments.set), CHANGES)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        training = PreparedTraining(settings, folder, ROWS)
        spark, snapshot = training.spark, training.snapshot
        unbroken = fit(spark, settings, folder, snapshot, lambda entry: None, skip_baselines=True)
        curve = unbroken.outcome.curve
        outcomes = []
        for seed in range(arguments.kills):
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            rng = np.random.default_rng(seed)
            step = int(rng.integers(1, len(curve) * 9 // 10))
            kill = Kill(step, int(rng.integers(0, 2)), bool(rng.integers(0, 2)))
            outcomes.append(train_with_kill(kill, spark, settings, folder, snapshot, curve))
            print(seed, outcomes[-1], flush=True)
    return {
        "kills": len(outcomes),
        "recovered_to_the_same_curve": sum(outcome["same_curve"] for outcome in outcomes),
        "steps": len(curve),
        "steps_between_checkpoints": CHECKPOINT_STEPS,
        "steps_lost": summarise_repeats([outcome["steps_lost"] for outcome in outcomes]),
        "seconds_to_the_next_step": summarise_repeats([outcome["seconds"] for outcome in outcomes]),
        "target_seconds": TARGET_SECONDS,
    }


def train_with_kill(
    kill: Kill, spark: Any, settings: Any, folder: Path, snapshot: Any, curve: list[float]
) -> dict[str, Any]:
    """Train under a kill; return the seconds to the next step and the steps lost."""
    entries: list[tuple[float, dict[str, Any]]] = []

    def report_progress(entry: dict[str, Any]) -> None:
        entries.append((time.monotonic(), entry))
        if sum("step" in e for _, e in entries) >= kill.step:
            kill.reached.set()

    kill.start()
    fitted = fit(spark, settings, folder, snapshot, report_progress, skip_baselines=True)
    kill.join(10)
    loss = next(i for i, (_, entry) in enumerate(entries) if "lost_process" in entry)
    steps_before = sum("step" in e for _, e in entries[:loss])
    resumed = next((e["resumed_at_step"] for _, e in entries[loss:] if "resumed_at_step" in e), 0)
    step_times = [moment for moment, entry in entries if "step" in entry]
    next_step = next(t for t in step_times if t > kill.killed_at and t > entries[loss][0])
    return {
        "step": kill.step,
        "victim": "worker" if kill.worker else "rank",
        "seconds": next_step - kill.killed_at,
        "steps_lost": steps_before - resumed,
        "same_curve": bool(np.allclose(fitted.outcome.curve, curve, atol=1e-5)),
    }


def main() -> None:
    """Measure the recovery from the requested number of kills."""
    parser = make_parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    save_result("recovery", "recovery", measure_recovery(parser.parse_args()))


if __name__ == "__main__":
    main()
