"""Check rates and their intervals, by day and dimension and by arm, against numpy."""

from datetime import timedelta
from statistics import NormalDist

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.feedback.kpis import measure_arms, measure_feedback
from profile_lib.feedback.ratio_moments import Moments, estimate_ratio, sum_moments
from profile_lib.tables import FEEDBACK, FEEDBACK_MEASURES
from tests.impressions import feedback_row


@pytest.fixture(scope="module")
def world():
    """The rows of `feedback` of forty users on two days, as dicts."""
    rng = np.random.default_rng(8)
    rows = []
    for n in range(400):
        is_clicked = bool(rng.random() < 0.3)
        is_bought = bool(rng.random() < (0.4 if is_clicked else 0.05))
        rows.append(
            {
                "impression_id": f"i{n}",
                "user_id": f"u{rng.integers(40)}",
                "shown_date": feedback_row()["shown_date"] + timedelta(days=int(rng.integers(2))),
                "slot": int(rng.integers(1, 4)),
                "sources": [["popular"], ["popular", "similar", "similar"], []][n % 3],
                "segment": "buyer" if n % 4 else None,
                "is_clicked": is_clicked,
                "is_bought": is_bought,
                "revenue": float(rng.integers(1, 100)) if is_bought else 0.0,
                "is_complete": bool(rng.random() < 0.9),
                "experiment": "ranker" if n % 2 else None,
            }
        )
    return rows


@pytest.fixture(scope="module")
def feedback(spark, world):
    rows = [
        tuple((feedback_row() | row).get(name) for name in FEEDBACK.column_names()) for row in world
    ]
    return spark.createDataFrame(rows, FEEDBACK.schema).localCheckpoint()


@pytest.fixture(scope="module")
def measured(feedback):
    frame = FEEDBACK_MEASURES.conform(
        measure_feedback(feedback, ["slot", "sources", "segment"], 0.9)
    )
    return {(r["shown_date"], r["dimension"], r["value"]): r for r in frame.collect()}


def sums_by_user(rows, x, y):
    """The sums of x and of y over each user's rows."""
    users = sorted({row["user_id"] for row in rows})
    codes = [users.index(row["user_id"]) for row in rows]
    return (np.bincount(codes, [f(row) for row in rows]) for f in (x, y))


def assert_rate(row, name, rows, x, y):
    value, variance = estimate_ratio(sum_moments(*sums_by_user(rows, x, y)))
    half_width = NormalDist().inv_cdf(0.95) * np.sqrt(variance)
    assert row[name] == pytest.approx(value)
    assert row[f"{name}_low"] == pytest.approx(max(value - half_width, 0))
    upper_bound = np.inf if name == "revenue_per_1000" else 1
    assert row[f"{name}_high"] == pytest.approx(min(value + half_width, upper_bound))


CELLS = {
    ("all", "all"): lambda row: True,
    ("slot", "2"): lambda row: row["slot"] == 2,
    ("sources", "similar"): lambda row: "similar" in row["sources"],
    ("sources", "unknown"): lambda row: not row["sources"],
    ("segment", "unknown"): lambda row: row["segment"] is None,
}


@pytest.mark.parametrize(("dimension", "value"), CELLS)
def test_rates_and_intervals_are_those_of_sums_by_user(world, measured, dimension, value):
    days = {row["shown_date"] for row in world}
    for day in days:
        is_in_cell = CELLS[dimension, value]
        rows = [r for r in world if r["shown_date"] == day and r["is_complete"] and is_in_cell(r)]
        row = measured[day, dimension, value]
        assert (row["n_impressions"], row["n_users"]) == (
            len(rows),
            len({r["user_id"] for r in rows}),
        )
        assert row["n_bought"] == sum(r["is_bought"] for r in rows)
        assert_rate(row, "ctr", rows, lambda r: 1, lambda r: r["is_clicked"])
        is_clicked_and_bought = lambda r: r["is_clicked"] and r["is_bought"]  # noqa: E731
        assert_rate(row, "cvr", rows, lambda r: r["is_clicked"], is_clicked_and_bought)
        assert_rate(row, "revenue_per_1000", rows, lambda r: 1, lambda r: 1000 * r["revenue"])


def test_each_value_of_a_dimension_has_one_row_per_day(measured):
    values = {(dimension, value) for _, dimension, value in measured}
    assert values == {
        ("all", "all"),
        *(("slot", str(n)) for n in (1, 2, 3)),
        *(("sources", s) for s in ("popular", "similar", "unknown")),
        *(("segment", s) for s in ("buyer", "unknown")),
    }
    assert len(measured) == 2 * len(values)


def test_users_who_do_not_differ_have_no_interval(spark):
    rows = [tuple(feedback_row(impression_id=f"i{n}", user_id=f"u{n}").values()) for n in range(3)]
    row = measure_feedback(spark.createDataFrame(rows, FEEDBACK.schema), [], 0.95).first()
    assert (row["ctr"], row["ctr_low"], row["ctr_high"], row["cvr"]) == (0.0, None, None, None)
    assert row["n_users"] == 3


def test_a_dimension_that_is_not_a_column_is_refused(feedback):
    with pytest.raises(InputError, match=r"feedback.dimensions: no columns \['colour'\]; wanted"):
        measure_feedback(feedback, ["slot", "colour"], 0.95)


def test_an_arm_has_the_sums_of_its_users(spark, world, feedback):
    arm = [r for r in world if r["experiment"] and r["is_complete"]]
    (row,) = measure_arms(feedback, "ranker").collect()
    shown, clicked = sums_by_user(arm, lambda r: 1, lambda r: r["is_clicked"])
    assert Moments(*row["ctr"]) == pytest.approx(sum_moments(shown, clicked))
    _, paid = sums_by_user(arm, lambda r: 1, lambda r: r["revenue"])
    assert Moments(*row["revenue"]) == pytest.approx(sum_moments(np.ones(len(paid)), paid))
    assert (row["variant"], row["n_users_in_several_arms"]) == ("unknown", 0)


def test_users_in_several_arms_are_counted(spark):
    arms = [("ann", "a"), ("ann", "b"), ("bob", "a"), ("cat", "b"), ("cat", "b")]
    rows = [
        tuple(feedback_row(impression_id=f"i{n}", user_id=u, experiment="x", variant=v).values())
        for n, (u, v) in enumerate(arms)
    ]
    frame = measure_arms(spark.createDataFrame(rows, FEEDBACK.schema), "x")
    assert {r["variant"]: r["n_users_in_several_arms"] for r in frame.collect()} == {"a": 1, "b": 0}
