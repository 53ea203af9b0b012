"""Kill a stream of profiles at each phase, and check what its tables hold afterwards.

    python -m benchmarks.chaos --kills 100 --textbook-kills 40 --seed 1

benchmarks/README.md describes the trial. Stores one entry per seed in
benchmarks/results/chaos.json, so many kills can be spread over several runs. A kill takes a minute
or more.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.chaos.kills import run_kills, summarise_outcomes
from benchmarks.chaos.profiles import ProfilesTrial
from benchmarks.chaos.textbook import TextbookTrial
from benchmarks.chaos.trial import CONF
from benchmarks.measure import save_result
from profile_lib.config.settings import load_settings
from profile_lib.spark.session import start_spark


def main() -> None:
    """Run each trial under the requested number of kills."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--textbook-kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    spark = start_spark(load_settings(str(CONF / "dev.yaml")).spark, "judge")
    n_kills = {ProfilesTrial: arguments.kills, TextbookTrial: arguments.textbook_kills}
    for trial, n in n_kills.items():
        rng, outcomes = np.random.default_rng(arguments.seed), []
        if not n:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                for outcome in run_kills(trial, spark, n, rng, Path(folder)):
                    outcomes.append(outcome)
                    print(len(outcomes), outcome, flush=True)
        finally:  # an interrupted run stores the kills it has
            save_result(
                "chaos", f"{trial.name}_seed_{arguments.seed}", summarise_outcomes(outcomes)
            )


if __name__ == "__main__":
    main()
