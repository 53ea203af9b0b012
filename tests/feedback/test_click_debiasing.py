"""Check the labels and weights of impressions, and the estimated examination of slots."""

import numpy as np
import pytest
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.feedback.click_debiasing import (
    count_clicks_per_slot,
    fit_examination,
    label_impressions,
)
from profile_lib.tables import FEEDBACK
from tests.impressions import feedback_row

EXAMINATION = np.array([1.0, 0.6, 0.3, 0.0])
SLOTS = np.arange(1, 5)


def feedback_frame(spark, *rows):
    numbered = [feedback_row(impression_id=f"i{n}", **row) for n, row in enumerate(rows)]
    return spark.createDataFrame([tuple(row.values()) for row in numbered], FEEDBACK.schema)


def test_labels_grade_the_outcome_and_weights_correct_for_the_slot(spark):
    feedback = feedback_frame(
        spark,
        {"slot": 1, "is_clicked": True},
        {"slot": 2, "is_clicked": True, "is_carted": True},
        {"slot": 3, "is_clicked": True, "is_carted": True, "is_bought": True},
        {"slot": 4, "is_bought": True},
        {"slot": 3},
        {"slot": 9, "is_clicked": True, "is_complete": False},
    )
    examination = dict(zip(SLOTS.tolist(), EXAMINATION.tolist(), strict=True))
    rows = label_impressions(feedback, examination, max_weight=3.0).collect()
    assert {r["impression_id"]: (r["label"], round(r["weight"], 6)) for r in rows} == {
        "i0": (1, 1.0),
        "i1": (2, 1.666667),
        "i2": (3, 3.0),
        "i3": (3, 3.0),
        "i4": (0, 1.0),
    }
    with pytest.raises(InputError, match=r"found slots \[4\], wanted slots whose examination"):
        label_impressions(feedback, {1: 1.0, 2: 0.5, 3: 0.3}, max_weight=3.0)


def test_clicks_are_counted_over_items_clicked_and_shown_in_several_slots(spark):
    feedback = feedback_frame(
        spark,
        {"slot": 1, "is_clicked": True, "propensity": 0.5},
        {"slot": 1, "propensity": 0.25},
        {"slot": 2, "propensity": None},
        {"slot": 2, "is_complete": False},
        {"slot": 1, "item_id": "one slot", "is_clicked": True},
        *({"slot": slot, "item_id": "no click"} for slot in (1, 2)),
    )
    expected = spark.createDataFrame(
        [("tee", 1, 6.0, 2.0), ("tee", 2, 1.0, 0.0)],
        "item_id string, slot int, n_impressions double, n_clicked double",
    )
    assertDataFrameEqual(count_clicks_per_slot(feedback), expected, ignoreNullable=True)


def test_examination_is_recovered_from_expected_clicks():
    rng = np.random.default_rng(0)
    appeal, n_shown = rng.uniform(0.05, 0.9, 30), rng.integers(1, 500, (30, 4)).astype(float)
    n_shown[:, 1] *= np.linspace(0.2, 5, 30) * (appeal > 0.3)  # the second slot has good items
    item, slot_index = np.nonzero(n_shown)
    n = n_shown[item, slot_index]
    fitted = fit_examination(item, SLOTS[slot_index], n, n * appeal[item] * EXAMINATION[slot_index])
    assert list(fitted) == SLOTS.tolist()
    assert list(fitted.values()) == pytest.approx(EXAMINATION.tolist(), abs=1e-4)


def test_examination_is_estimated_from_random_clicks():
    rng = np.random.default_rng(1)
    appeal = rng.uniform(0.05, 0.5, 200)
    item, slot_index = (a.ravel() for a in np.indices((200, 4)))
    n = rng.integers(50, 500, item.shape)
    clicked = rng.binomial(n, appeal[item] * EXAMINATION[slot_index])
    fitted = fit_examination(item, SLOTS[slot_index], n, clicked)
    assert list(fitted.values()) == pytest.approx(EXAMINATION.tolist(), abs=0.03)


def test_preferred_items_in_first_slots_bias_the_estimate_unless_counted_by_propensity():
    # Half of the users like the first item, half the second; 8 in 10 see it in the first slot.
    appeal = np.array([[0.6, 0.1], [0.1, 0.6]])
    slot_probability = np.array([[0.8, 0.2], [0.2, 0.8]])
    user, item, slot_index = (a.ravel() for a in np.indices((2, 2, 2)))
    p = slot_probability[user, (item + slot_index) % 2]
    clicked = 1000 * p * appeal[user, item] * EXAMINATION[slot_index]
    plain = fit_examination(item, SLOTS[slot_index], 1000 * p, clicked)
    by_propensity = fit_examination(item, SLOTS[slot_index], 1000 * p / p, clicked / p)
    assert by_propensity == {1: 1.0, 2: pytest.approx(0.6, abs=1e-5)}
    assert plain[2] < 0.3


def test_slots_that_no_item_links_are_refused():
    item, slot = np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4])
    with pytest.raises(InputError, match=r"link only slots \[1, 2\], wanted \[1, 2, 3, 4\]; log"):
        fit_examination(item, slot, np.full(4, 10.0), np.full(4, 1.0))
    empty = np.zeros(0, np.int64)
    with pytest.raises(InputError, match=r"clicked items link only slots \[\], wanted \[\]"):
        fit_examination(empty, empty, np.zeros(0), np.zeros(0))
