"""A ranker's rows: labels by how far a user went, weights by how little a slot is looked at."""

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.feedback.click_debiasing import (
    count_clicks_per_slot,
    fit_examination,
    label_impressions,
)
from profile_lib.tables import FEEDBACK
from tests.impressions import feedback_row

LOOKED = np.array([1.0, 0.6, 0.3, 0.0])
SLOTS = np.arange(1, 5)


def feedback_of(spark, *rows):
    numbered = [feedback_row(impression_id=f"i{n}", **row) for n, row in enumerate(rows)]
    return spark.createDataFrame([tuple(row.values()) for row in numbered], FEEDBACK.schema)


def test_labels_grade_what_came_of_it_and_weights_make_up_for_the_slot(spark):
    feedback = feedback_of(
        spark,
        {"slot": 1, "is_clicked": True},
        {"slot": 2, "is_clicked": True, "is_carted": True},
        {"slot": 3, "is_clicked": True, "is_carted": True, "is_bought": True},
        {"slot": 4, "is_bought": True},
        {"slot": 3},
        {"slot": 9, "is_clicked": True, "is_complete": False},
    )
    shares = dict(zip(SLOTS.tolist(), LOOKED.tolist(), strict=True))
    rows = label_impressions(feedback, shares, max_weight=3.0).collect()
    assert {r["impression_id"]: (r["label"], round(r["weight"], 6)) for r in rows} == {
        "i0": (1, 1.0),
        "i1": (2, 1.666667),
        "i2": (3, 3.0),
        "i3": (3, 3.0),
        "i4": (0, 1.0),
    }
    with pytest.raises(InputError, match=r"no examination is known of slots \[4\]; leave them out"):
        label_impressions(feedback, {1: 1.0, 2: 0.5, 3: 0.3}, max_weight=3.0)


def test_slots_are_counted_over_items_that_tell_of_them(spark):
    feedback = feedback_of(
        spark,
        {"slot": 1, "is_clicked": True, "propensity": 0.5},
        {"slot": 1, "propensity": 0.25},
        {"slot": 2, "propensity": None},
        {"slot": 2, "is_complete": False},
        {"slot": 1, "item_id": "one slot", "is_clicked": True},
        *({"slot": slot, "item_id": "no click"} for slot in (1, 2)),
    )
    rows = {tuple(row) for row in count_clicks_per_slot(feedback).collect()}
    assert rows == {("tee", 1, 6.0, 2.0), ("tee", 2, 1.0, 0.0)}


def test_examination_is_found_of_clicks_as_they_are_expected():
    rng = np.random.default_rng(0)
    appeal, shown = rng.uniform(0.05, 0.9, 30), rng.integers(1, 500, (30, 4)).astype(float)
    shown[:, 1] *= np.linspace(0.2, 5, 30) * (appeal > 0.3)  # good items stand in the second slot
    item, place = np.nonzero(shown)
    n = shown[item, place]
    found = fit_examination(item, SLOTS[place], n, n * appeal[item] * LOOKED[place])
    assert list(found) == SLOTS.tolist()
    assert list(found.values()) == pytest.approx(LOOKED.tolist(), abs=1e-4)


def test_examination_is_found_of_clicks_as_they_fall():
    rng = np.random.default_rng(1)
    appeal = rng.uniform(0.05, 0.5, 200)
    item, place = (a.ravel() for a in np.indices((200, 4)))
    n = rng.integers(50, 500, item.shape)
    clicked = rng.binomial(n, appeal[item] * LOOKED[place])
    found = fit_examination(item, SLOTS[place], n, clicked)
    assert list(found.values()) == pytest.approx(LOOKED.tolist(), abs=0.03)


def test_what_users_like_in_their_first_slots_misleads_unless_it_counts_by_its_propensity():
    # Half of the users like the first item, half the second, and 8 in 10 see it in the first slot.
    likes, chance = np.array([[0.6, 0.1], [0.1, 0.6]]), np.array([[0.8, 0.2], [0.2, 0.8]])
    of_user, item, place = (a.ravel() for a in np.indices((2, 2, 2)))
    p = chance[of_user, (item + place) % 2]  # that a user of this kind sees this item there
    clicked = 1000 * p * likes[of_user, item] * LOOKED[place]
    plain = fit_examination(item, SLOTS[place], 1000 * p, clicked)
    by_propensity = fit_examination(item, SLOTS[place], 1000 * p / p, clicked / p)
    assert by_propensity == {1: 1.0, 2: pytest.approx(0.6, abs=1e-5)}
    assert plain[2] < 0.3


def test_slots_that_no_item_links_are_refused():
    item, slot = np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4])
    with pytest.raises(InputError, match=r"items link slots \[1, 2\], wanted \[1, 2, 3, 4\]: one"):
        fit_examination(item, slot, np.full(4, 10.0), np.full(4, 1.0))
    nothing = np.zeros(0, np.int64)
    with pytest.raises(InputError, match=r"clicked items link slots \[\], wanted \[\]"):
        fit_examination(nothing, nothing, np.zeros(0), np.zeros(0))
