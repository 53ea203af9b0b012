"""A day is compared with the same weekday of earlier weeks."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from profile_lib.events.daily_values import OTHER
from profile_lib.events.quality_report.drift import Drift, Move, measure_drift

DAY = date(2026, 2, 2)  # a Monday
STABLE = {"shirts": 500, "cups": 300, "pens": 200}


def world(*days: tuple[int, dict[str, int]]) -> pd.DataFrame:
    """Return counts of categories; a day is given by how many days it is before DAY."""
    rows = [
        ("shop", DAY - timedelta(days=ago), "category", value, n_rows)
        for ago, counts in days
        for value, n_rows in counts.items()
    ]
    return pd.DataFrame(rows, columns=["source", "day", "field", "value", "n_rows"])


def measure(*days: tuple[int, dict[str, int]], min_rows: int = 100) -> Drift:
    """Return the drift of DAY."""
    (drift,) = (d for d in measure_drift(world(*days), min_rows) if d.day == DAY)
    return drift


def test_equal_days_do_not_drift():
    drift = measure((7, STABLE), (0, {name: 3 * n for name, n in STABLE.items()}))
    assert drift == Drift("shop", DAY, "category", 0.0, 3000, 1000.0, 1, ())


def test_a_category_that_vanishes_adds_most_to_the_index():
    drift = measure((7, STABLE), (0, {"shirts": 500, "cups": 300}))
    before, now = np.array([0.5, 0.3, 0.2]), np.array([0.625, 0.375, 1e-4])
    assert drift.psi == pytest.approx(np.sum((now - before) * np.log(now / before)))
    assert drift.moves[0] == Move("pens", 0.2, 0.0)
    assert drift.describe() == (
        "category drifted, PSI 1.56: pens 20.0% → 0.0%, shirts 50.0% → 62.5%, cups 30.0% → 37.5%"
    )


def test_the_mean_of_four_weeks_gives_each_the_same_weight_and_older_ones_none():
    weeks = [
        (35, {"cups": 1000}),  # the fifth week before
        (28, {"shirts": 100}),
        (21, {"shirts": 100}),
        (14, {"shirts": 100}),
        (7, {"shirts": 50_000, "cups": 50_000}),
    ]
    drift = measure(*weeks, (0, {"shirts": 100}))
    assert drift.n_weeks == 4
    assert drift.mean_rows == (300 + 100_000) / 4
    assert set(drift.moves) == {Move("shirts", 0.875, 1.0), Move("cups", 0.125, 0.0)}


def test_other_weekdays_are_not_compared():
    days = [(6, {"cups": 1000}), (1, {"cups": 1000}), (0, {"shirts": 1000})]
    assert measure_drift(world(*days), 100) == []


def test_days_with_few_events_are_neither_compared_nor_compared_with():
    small, large = {"cups": 99}, {"shirts": 100}
    assert measure_drift(world((7, large), (0, small)), 100) == []
    assert measure_drift(world((7, small), (0, large)), 100) == []
    assert measure((14, large), (7, small), (0, large)).n_weeks == 1


def test_values_below_a_fiftieth_before_and_on_the_day_count_together():
    before = {"shirts": 960, "a": 19, "b": 21}
    now = {"shirts": 960, "c": 19, "b": 2, OTHER: 19}
    drift = measure((7, before), (0, now))
    assert drift.moves == (Move("b", 0.021, 0.002), Move(OTHER, 0.019, 0.038))


def test_more_removed_than_added_events_count_as_none():
    drift = measure((7, STABLE), (0, {**STABLE, "caps": -5}))
    assert (drift.n_rows, drift.psi) == (1000, 0.0)


def test_sources_and_fields_are_compared_apart():
    counts = world((7, STABLE), (0, STABLE))
    other = counts.assign(source="b", field="language")
    drifts = measure_drift(pd.concat([counts, other]), 100)
    assert [(d.source, d.field) for d in drifts] == [("b", "language"), ("shop", "category")]


def test_without_counts_there_is_no_drift():
    assert measure_drift(world(), 100) == []
