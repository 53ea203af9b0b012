"""What is killed comes back: nothing is lost, nothing counts twice, nothing is unreadable."""

import numpy as np

from benchmarks.chaos import draw_kills, run_kill
from benchmarks.trial_of_profiles import Profiles
from benchmarks.trials import PHASES


def test_five_kills_one_a_phase_leave_the_profiles_as_a_batch_computes_them(spark, tmp_path):
    kills = draw_kills(Profiles, np.random.default_rng(4))
    drawn = {kill.phase: kill for kill in (next(kills) for _ in range(30))}  # all there are
    shop = Profiles(spark, tmp_path)
    try:
        outcomes = [run_kill(shop, drawn[phase]) for phase in PHASES]
    finally:
        shop.stop()
    assert [outcome["struck"] for outcome in outcomes] == [True] * 5
    assert [outcome["faults"] for outcome in outcomes] == [{}] * 5
