"""Draw kills, carry each out, and count the faults it leaves."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from numpy.random import Generator
from pyspark.sql import SparkSession

from benchmarks.chaos.trial import Kill, Stuck, Trial
from benchmarks.measure import summarise_repeats

# The longest delay of a kill after the first sign of its phase: about how long the phase lasts.
PHASE_SECONDS = {
    "reading": 0.5, "computing": 1.5, "writing": 0.2, "committing": 0.002, "checkpointing": 0.3,
}  # fmt: skip
SIGN_SECONDS = 120
SHARE_DURING_REFRESH = 0.3  # share of a stream's kills that come while a refresh runs
FAULTS = ("lost", "duplicated", "wrong", "not_deleted", "unreadable", "stuck")


def draw_kills(trial: type[Trial], rng: Generator) -> Iterator[Kill]:
    """Draw every combination of part, work and phase once in random order, then start over."""
    combinations = list(product(trial.parts, trial.works, trial.phases))
    while True:
        for number in rng.permutation(len(combinations)):
            part, work, phase = combinations[number]
            during_refresh = (
                work == "stream"
                and bool(rng.random() < SHARE_DURING_REFRESH)
                and "refresh" in trial.works
            )
            delay = rng.uniform(0, PHASE_SECONDS[phase])
            yield Kill(part, rng.random(), work, phase, delay, during_refresh)


def run_kill(trial: Trial, kill: Kill) -> dict[str, Any]:
    """Carry out one kill; return whether it struck, the faults and the seconds to recover."""
    trial.wait_until(trial.is_idle)
    sign, restarts_before = trial.signs(kill.work)[kill.phase], trial.n_restarts
    with ThreadPoolExecutor(1) as pool:
        strike = trial.victim.strike
        struck = pool.submit(strike, kill.part, sign, kill.delay, SIGN_SECONDS, kill.which)
        trial.trigger_work(kill)
    trial.write_events()
    trial.wait_until(trial.is_through)
    seconds = time.monotonic() - trial.victim.start_time
    n_restarts = trial.n_restarts - restarts_before
    if not n_restarts:  # a restart also refreshes what the stream does not update
        trial.finish()
    trial.wait_until(trial.is_idle)
    return kill._asdict() | {
        "struck": struck.result(),
        "restarts": n_restarts,
        "seconds": seconds if n_restarts else None,
        "faults": trial.faults(),
    }


def run_kills(
    trial_class: type[Trial], spark: SparkSession, n: int, rng: Generator, folder: Path
) -> Iterator[dict[str, Any]]:
    """Yield outcomes until `n` kills have struck; a stuck trial is replaced by a new one."""
    kills, n_struck, n_trials = draw_kills(trial_class, rng), 0, 0
    while n_struck < n:
        (trial_folder := folder / f"{trial_class.name}{n_trials}").mkdir()
        n_trials += 1
        trial = trial_class(spark, trial_folder)
        try:
            while n_struck < n:
                outcome = run_kill(trial, kill := next(kills))
                n_struck += outcome["struck"]
                yield outcome
        except Stuck as stuck:
            print(stuck, flush=True)
            n_struck += 1
            yield kill._asdict() | {"struck": True, "seconds": None, "faults": Counter(stuck=1)}
        finally:
            trial.stop()


def summarise_outcomes(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the kills that struck, their faults by kind, and the seconds to recover."""
    struck = [o for o in outcomes if o["struck"]]
    seconds = [o["seconds"] for o in struck if o["seconds"] is not None]
    return {
        "kills": len(struck),
        "kills_with_faults": sum(bool(o["faults"]) for o in struck),
        "survived_without_restart": sum(o["seconds"] is None and not o["faults"] for o in struck),
        "faults": {k: sum(k in o["faults"] for o in struck) for k in FAULTS},
        "seconds_to_recover": summarise_repeats(seconds) if seconds else None,
    }
