"""Check every cell of the profile of one user."""

from datetime import datetime

import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.features.model_inputs import add_pending_input
from profile_lib.inference.row_arrays import PREDICTION
from profile_lib.model.tasks import TaskSpec
from profile_lib.pipelines.serving_model import predicted_task
from profile_lib.profiles.build import decode_predictions, select_profile_facts
from profile_lib.profiles.card import format_profile_card
from profile_lib.tables import BEHAVIOUR, USER_PROFILES, USERS

TASKS = [
    predicted_task(TaskSpec(name="buys", kind="binary", classes=())),
    predicted_task(
        TaskSpec(name="next_category", kind="multiclass", classes=("apparel", "bags", "drinkware"))
    ),
    predicted_task(TaskSpec(name="gender", kind="multiclass", classes=("f", "m"))),
    predicted_task(TaskSpec(name="spend", kind="regression", classes=())),
    predicted_task(TaskSpec(name="seeks", kind="multilabel", classes=("hats", "mugs", "tees"))),
]


def at(minute: int) -> datetime:
    return datetime(2026, 1, 1, 9, minute)


def recent(minute: int, kind: str, title: str | None, text: str | None = None) -> tuple:
    return (at(minute), kind, title and title[:1], title, None, text, None)


BEHAVIOUR_OF_ANN = {
    "user_id": "ann", "cutoff_ts": at(10), "last_event_ts": at(9), "n_sessions": 2, "n_orders": 0,
    "n_events": 3, "order_value": 0.0, "price_level": 0.4, "bought_price_level": None,
    "rating": 5.0, "n_in_cart": 0.5, "categories": [("bags", 3.0)], "brands": [], "keywords": [],
    "active_hours": [0] * 24, "channels": {"web": 3}, "devices": {}, "regions": {}, "referrers": {},
    "systems": {}, "browsers": {},
    "recent": [
        recent(9, "cart", "mug"), recent(8, "view", "mug"), recent(7, "search", None, "mug"),
    ],
}  # fmt: skip
PREDICTED = (
    [0.5, -0.5],
    [0.25, 0.2, 0.5, 0.3, 0.9, 0.1, 12.5, 0.75, 0.25, 0.875],
    [2, 0, 1, 0, 5, 1, 7, 8, 7, 8],
    [-0.75, 0.5, 1.0, 0.25, 0.0, 0.125, 0.0, 0.0, 0.0, 0.0],
)


@pytest.fixture(scope="module")
def facts(spark):
    defaults = {"LongType()": 0, "IntegerType()": 0, "DoubleType()": 0.0}
    row = [
        BEHAVIOUR_OF_ANN.get(c.name, defaults.get(str(c.type)) if c.required else None)
        for c in BEHAVIOUR.columns
    ]
    behaviour = spark.createDataFrame([row], BEHAVIOUR.schema)
    attributes = ("ann", "25-34", None, "paris", {"kids": "2", "region": "a region"}, {}, at(1))
    users = spark.createDataFrame([attributes], USERS.schema)
    return select_profile_facts(
        add_pending_input(behaviour, 20),
        users,
        events_version=F.lit(7),
        profile_version=3,
        user_buckets=4,
    )


@pytest.fixture(scope="module")
def profile(facts):
    return profile_with(facts, PREDICTED)


def profile_with(facts, prediction) -> dict:
    """Build the profile with a prediction of the model."""
    schema = T.StructType([T.StructField("prediction", PREDICTION)])
    predicted = facts.crossJoin(facts.sparkSession.createDataFrame([(prediction,)], schema))
    frame = decode_predictions(
        predicted, TASKS, model_version="m-1", n_reasons=2, n_next_categories=2
    )
    USER_PROFILES.conform(frame)
    return frame.first().asDict(recursive=True)


def test_probabilities_become_propensities_next_categories_and_inferred_attributes(profile):
    assert profile["propensities"] == {"buys": 0.25}
    assert [(c["name"], round(c["weight"], 6)) for c in profile["next_categories"]] == [
        ("bags", 0.5),
        ("drinkware", 0.3),
    ]
    gender = profile["inferred"]["gender"]
    assert (gender["value"], round(gender["confidence"], 6)) == ("f", 0.9)
    assert set(profile["inferred"]) == {"gender"}


def test_reasons_name_events_of_the_history_with_their_effects(profile):
    reasons = {
        task: [(r["event_type"], r["text"], r["effect"]) for r in task_reasons]
        for task, task_reasons in profile["reasons"].items()
    }
    assert reasons == {
        "buys": [("search", "mug", -0.75), ("cart", "mug", 0.5)],
        "next_category": [("view", "mug", 1.0), ("cart", "mug", 0.25)],
        "gender": [("view", "mug", 0.125)],
        "spend": [],
        "seeks": [],
    }


def test_declared_attributes_are_apart_from_inferred_ones_and_columns_win_over_them(profile):
    assert profile["declared"] == {"age_band": "25-34", "region": "paris", "kids": "2"}


def test_facts_are_computed_from_behaviour(profile):
    assert profile["segment"] == "filled cart"
    assert profile["sentiment"] == 1.0
    assert profile["purchasing_power"] == 0.4
    assert profile["as_of_ts"] == at(10)
    assert profile["events_version"] == 7
    assert (profile["profile_version"], profile["model_version"]) == (3, "m-1")
    assert 0 <= profile["user_bucket"] < 4


def test_a_card_shows_segment_next_categories_and_reasons(profile):
    card = format_profile_card(profile)
    assert "ann…  filled cart  (as of 2026-01-01 09:10 UTC)" in card
    assert "next        bags 50%, drinkware 30%" in card
    assert "buys        25.0%, because of search mug (-0.75), cart mug (+0.50)" in card


def test_regressions_become_predicted_values_and_likely_classes_predicted_labels(profile):
    assert profile["predicted_values"] == {"spend": 12.5}
    assert [(x["name"], x["weight"]) for x in profile["predicted_labels"]["seeks"]] == [
        ("tees", 0.875), ("hats", 0.75)
    ]  # fmt: skip
    assert set(profile["propensities"]) == {"buys"}


def test_a_profile_without_a_prediction_holds_facts_and_the_pending_input(facts):
    profile = profile_with(facts, None)
    assert profile["segment"] == "filled cart"
    assert (profile["propensities"], profile["interest_vector"], profile["reasons"]) == ({}, [], {})
    assert profile["pending_input"]["text"].startswith("likes bags")
    assert profile_with(facts, PREDICTED)["pending_input"] is None
