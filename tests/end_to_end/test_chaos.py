"""Check that killed streams and refreshes recover without a fault."""

import numpy as np
import pytest

from benchmarks.chaos.kills import draw_kills, run_kill
from benchmarks.chaos.profiles import ProfilesTrial
from benchmarks.chaos.trial import PHASES


@pytest.mark.trial
def test_a_kill_in_each_phase_leaves_the_profiles_of_a_batch_run(spark, tmp_path):
    kills = draw_kills(ProfilesTrial, np.random.default_rng(4))
    kill_of_phase = {kill.phase: kill for kill in (next(kills) for _ in range(30))}
    trial = ProfilesTrial(spark, tmp_path)
    try:
        outcomes = [run_kill(trial, kill_of_phase[phase]) for phase in PHASES]
    finally:
        trial.stop()
    assert [outcome["struck"] for outcome in outcomes] == [True] * 5
    assert [outcome["faults"] for outcome in outcomes] == [{}] * 5
