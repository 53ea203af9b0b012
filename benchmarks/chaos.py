"""What SIGKILLs leave of a stream's profiles: seeded, at each phase, beside the textbook's stream.

    python -m benchmarks.chaos --kills 100 --textbook-kills 40 --seed 1

A tiny shop whose events come new, late, again, corrected and deleted, while the stream of profiles
and refreshes run in a process of their own. Of it the driver, the JVM or a Python worker is killed
the moment a phase shows on disk, or a little later; it is started again, more events come, and all
profiles are compared, cell by cell, with those of a refresh into an empty table. The textbook's
stream (`textbook.py`), whose counts are set right after each fault, is killed by the same rules.
Writes benchmarks/results/chaos.json, an entry a seed: many kills may be spread over several runs. A
kill takes a minute or more.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from pyspark.sql import SparkSession

from benchmarks.measure import save_result, summarise_repeats
from benchmarks.trial_of_profiles import Profiles
from benchmarks.trial_of_textbook import Textbook
from benchmarks.trials import CONF, Kill, Stuck, Trial
from profile_lib.config.settings import load_settings
from profile_lib.spark.session import start_spark

# Seconds after its first sign within which a phase is struck; as long as they last here.
PHASE_SECONDS = {
    "reading": 0.5, "computing": 1.5, "writing": 0.2, "committing": 0.002, "checkpointing": 0.3,
}  # fmt: skip
SIGN_SECONDS = 120
SHARE_DURING_REFRESH = 0.3  # of the kills of a stream come while a refresh runs as well
FAULTS = ("lost", "duplicated", "wrong", "not deleted", "unreadable", "stuck")


def draw_kills(trial: type[Trial], rng: Generator) -> Iterator[Kill]:
    """Every part, work and phase once in an order that is drawn, and so on."""
    all_of_them = list(product(trial.parts, trial.works, trial.phases))
    while True:
        for number in rng.permutation(len(all_of_them)):
            part, work, phase = all_of_them[number]
            during_refresh = (
                work == "stream"
                and bool(rng.random() < SHARE_DURING_REFRESH)
                and "refresh" in trial.works
            )
            delay = rng.uniform(0, PHASE_SECONDS[phase])
            yield Kill(part, rng.random(), work, phase, delay, during_refresh)


def run_kill(trial: Trial, kill: Kill) -> dict[str, Any]:
    """What came of one kill: whether it struck, the faults by kind, and the seconds to be back."""
    trial.wait_until(trial.is_idle)
    sign, restarts = trial.signs(kill.work)[kill.phase], trial.n_restarts
    with ThreadPoolExecutor(1) as pool:
        strike = trial.victim.strike
        struck = pool.submit(strike, kill.part, sign, kill.delay, SIGN_SECONDS, kill.which)
        trial.trigger_work(kill)
    trial.write_events()
    trial.wait_until(trial.is_through)
    seconds = time.monotonic() - trial.victim.start_time
    restarts = trial.n_restarts - restarts
    if not restarts:  # a start refreshes what the stream does not bring
        trial.finish()
    trial.wait_until(trial.is_idle)
    return kill._asdict() | {
        "struck": struck.result(),
        "restarts": restarts,
        "seconds": seconds if restarts else None,
        "faults": trial.faults(),
    }


def run_kills(
    trial: type[Trial], spark: SparkSession, n: int, rng: Generator, folder: Path
) -> Iterator[dict[str, Any]]:
    """The outcomes of `n` kills that struck; a stream that is stuck begins anew, elsewhere."""
    kills, outcomes, n_begun = draw_kills(trial, rng), 0, 0
    while outcomes < n:
        (elsewhere := folder / f"{trial.__name__}{n_begun}").mkdir()
        n_begun += 1
        under = trial(spark, elsewhere)
        try:
            while outcomes < n:
                outcome = run_kill(under, kill := next(kills))
                outcomes += outcome["struck"]
                yield outcome
        except Stuck as stuck:
            print(stuck, flush=True)
            outcomes += 1
            yield kill._asdict() | {"struck": True, "seconds": None, "faults": Counter(stuck=1)}
        finally:
            under.stop()


def summary(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Kills by whom and when, and what was wrong after how many of them."""
    struck = [o for o in outcomes if o["struck"]]
    seconds = [o["seconds"] for o in struck if o["seconds"] is not None]
    return {
        "kills": len(struck),
        "by_part": Counter(o["part"] for o in struck),
        "by_work_and_phase": Counter(f"{o['work']}, {o['phase']}" for o in struck),
        "during_refresh": sum(o["during_refresh"] for o in struck),
        "survived_without_restart": sum(o["seconds"] is None and not o["faults"] for o in struck),
        "phase_not_seen": len(outcomes) - len(struck),
        "kills_with_faults": sum(bool(o["faults"]) for o in struck),
        "faults": {k: sum(k in o["faults"] for o in struck) for k in FAULTS},
        "seconds_to_recover": summarise_repeats(seconds) if seconds else None,
    }


def main(arguments: argparse.Namespace) -> None:
    """Each trial under as many kills as asked for."""
    spark = start_spark(load_settings(str(CONF / "dev.yaml")).spark, "judge")
    wanted = {Profiles: arguments.kills, Textbook: arguments.textbook_kills}
    for trial, n in wanted.items():
        rng, outcomes = np.random.default_rng(arguments.seed), []
        if not n:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                for outcome in run_kills(trial, spark, n, rng, Path(folder)):
                    outcomes.append(outcome)
                    print(len(outcomes), outcome, flush=True)
        finally:  # broken off after an hour, it tells what it has
            save_result(
                "chaos", f"{trial.__name__.lower()}, seed {arguments.seed}", summary(outcomes)
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--textbook-kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    main(parser.parse_args())
