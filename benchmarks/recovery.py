"""How a training outlives its ranks: seeded kills, each at its own step, all to be made up for.

    python benchmarks/recovery.py --config conf/ga.yaml --kills 20

Reads the table `examples` of the settings (run the jobs up to build_examples first). Each training
is one of two Horovod ranks, on the numbers and then with the text; its victim is a rank, or the
Spark worker that it runs below, the moment a random step of either stage.
Writes benchmarks/results/training.json: how many recovered, after how many seconds the next step
was told, and how many steps were lost.
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
from measure import save_result, summarise_repeats
from training import PreparedTraining

from profile_lib.config.settings import load_settings, with_values
from profile_lib.pipelines.model_training import fit

ROWS = 512  # of each kind of split: seconds in each stage, far longer with the text
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
    """Kills a rank, or the worker above it, once so many steps as `step` have been told."""

    def __init__(self, step: int, rank: int, worker: bool) -> None:
        super().__init__(daemon=True)
        self.step, self.rank, self.worker = step, rank, worker
        self.reached = threading.Event()
        self.killed_at = 0.0

    def run(self) -> None:
        """Wait for the step, then strike."""
        self.reached.wait()
        ranks = sorted(
            python_processes("horovod.spark.task.gloo_exec_fn"), key=lambda p: p.create_time()
        )
        victim = ranks[self.rank]
        if self.worker:
            above = [p for p in victim.parents() if "pyspark" in " ".join(p.cmdline())]
            victim = above[0]
        self.killed_at = time.monotonic()
        victim.kill()


def python_processes(word: str) -> list[psutil.Process]:
    """Python processes of this one's tree whose command line holds `word`."""
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            line = process.cmdline()
        except psutil.NoSuchProcess:
            continue  # it ended between the listing and the look
        if line and "python" in Path(line[0]).name and word in line:
            found.append(process)
    return found


def main(arguments: argparse.Namespace) -> None:
    """One unbroken training, then as many broken ones as asked for."""
    settings = with_values(load_settings(arguments.config), CHANGES)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        given = PreparedTraining(settings, folder, ROWS)
        spark, snapshot = given.spark, given.snapshot
        whole = fit(spark, settings, folder, snapshot, lambda entry: None, skip_baselines=True)
        curve = whole.outcome.curve
        kills = []
        for seed in range(arguments.kills):
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            rng = np.random.default_rng(seed)
            step = int(rng.integers(1, len(curve) * 9 // 10))
            kill = Kill(step, int(rng.integers(0, 2)), bool(rng.integers(0, 2)))
            kills.append(train_with_kill(kill, spark, settings, folder, snapshot, curve))
            print(seed, kills[-1], flush=True)
    recovered = [k for k in kills if k["same_curve"]]
    save_result(
        "training",
        "recovery",
        {
            "kills": len(kills),
            "recovered_to_the_same_curve": len(recovered),
            "steps": len(curve),
            "steps_between_checkpoints": CHECKPOINT_STEPS,
            "steps_lost": summarise_repeats([k["steps_lost"] for k in kills]),
            "seconds_to_the_next_step": summarise_repeats([k["seconds"] for k in kills]),
            "target_seconds": TARGET_SECONDS,
        },
    )


def train_with_kill(
    kill: Kill, spark: Any, settings: Any, folder: Path, snapshot: Any, curve: list[float]
) -> dict[str, Any]:
    """What came of one kill."""
    told: list[tuple[float, dict[str, Any]]] = []

    def report_progress(entry: dict[str, Any]) -> None:
        told.append((time.monotonic(), entry))
        if sum("step" in e for _, e in told) >= kill.step:
            kill.reached.set()

    kill.start()
    found = fit(spark, settings, folder, snapshot, report_progress, skip_baselines=True)
    kill.join(10)
    after = [at for at, entry in told if at > kill.killed_at and "step" in entry]
    lost = next(i for i, (_, entry) in enumerate(told) if "a rank was lost" in entry)
    before = sum("step" in e for _, e in told[:lost])
    resumed = next((e["resumed at step"] for _, e in told[lost:] if "resumed at step" in e), 0)
    resumed_after = [at for at in after if at > told[lost][0]]
    return {
        "step": kill.step,
        "victim": "worker" if kill.worker else "rank",
        "seconds": resumed_after[0] - kill.killed_at,
        "steps_lost": before - resumed,
        "same_curve": bool(np.allclose(found.outcome.curve, curve, atol=1e-5)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--kills", type=int, default=20)
    main(parser.parse_args())
