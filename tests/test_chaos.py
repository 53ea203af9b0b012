"""What is killed comes back: nothing is lost, nothing counts twice, nothing is unreadable."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from benchmarks.chaos import killed, kills_for
from benchmarks.trial_of_profiles import Profiles
from benchmarks.trials import PHASES, Kill


def outcomes_of(kills: Sequence[Kill], spark: SparkSession, folder: Path) -> list[dict[str, Any]]:
    """What comes of kills of one shop, one after the other."""
    folder.mkdir()
    shop = Profiles(spark, folder)
    try:
        return [killed(shop, kill) for kill in kills]
    finally:
        shop.end()


def test_five_kills_one_a_phase_leave_the_profiles_as_a_batch_computes_them(spark, tmp_path):
    """Two shops side by side, as a start alone leaves a core idle for most of its time."""
    kills = kills_for(Profiles, np.random.default_rng(4))
    drawn = {kill.phase: kill for kill in (next(kills) for _ in range(30))}  # all there are
    parts = [[drawn[phase] for phase in phases] for phases in (PHASES[::2], PHASES[1::2])]
    with ThreadPoolExecutor(2) as pool:
        shops = [
            pool.submit(outcomes_of, part, spark, tmp_path / f"shop{number}")
            for number, part in enumerate(parts)
        ]
    outcomes = [outcome for shop in shops for outcome in shop.result()]
    assert [outcome["struck"] for outcome in outcomes] == [True] * 5
    assert [outcome["faults"] for outcome in outcomes] == [{}] * 5
