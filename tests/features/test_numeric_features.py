"""Check that a numeric feature is one declaration, and that invalid ones are refused."""

import importlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from profile_lib.features.model_inputs import select_model_inputs
from profile_lib.features.numeric.registry import compute_numeric_features, numeric_feature
from profile_lib.pipelines.training_rows import example_row_schema
from profile_lib.tables import BEHAVIOUR
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.tables.table import LONG, required
from tests.features.behaviour_world import build, event

NIGHT_FEATURE = '''
"""Count events at night."""

from profile_lib.features.event_log import DAY_MICROS, EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import LONG, required


@numeric_feature(required("n_night_events", LONG, "number of events before 6:00, local, ever"))
def count_night_events(log: EventLog) -> FeatureColumns:
    """Count events before six o'clock."""
    yield "n_night_events", log.pairs.count(log.local_micros % DAY_MICROS < DAY_MICROS // 4)
'''


@pytest.fixture
def night_feature(spark, tmp_path, monkeypatch) -> Iterator[ModuleType]:
    """A module that declares one more feature, as an installation may add it."""
    path = Path(tmp_path) / "night_feature.py"
    path.write_text(NIGHT_FEATURE)
    spark.sparkContext.addPyFile(str(path))  # workers import it as well
    monkeypatch.setattr(NUMERIC_FEATURES.registry, "by_name", NUMERIC_FEATURES.registry.all())
    yield importlib.import_module("night_feature")
    del sys.modules["night_feature"]


def test_a_declared_feature_is_a_column_of_behaviour_and_the_models_last_number(
    spark, night_feature
):
    events = [event("ann", datetime(2026, 1, 10, hour), "page") for hour in (3, 5, 9)]
    noon = datetime(2026, 1, 10, 12)
    behaviour = build(spark, events, ("ann", noon))
    (row,) = BEHAVIOUR.conform(behaviour).collect()
    assert row["n_night_events"] == 2
    (inputs,) = select_model_inputs(behaviour, max_text_events=5).collect()
    assert len(inputs["numeric"]) == len(NUMERIC_FEATURES)
    assert inputs["numeric"][-1] == 2.0


def test_models_are_trained_on_a_feature_that_is_registered_after_the_pipelines_are_imported(
    night_feature,
):
    assert example_row_schema().numeric[-1] == "n_night_events"


def test_the_numeric_features_of_a_model_have_a_fixed_order():
    names = NUMERIC_FEATURES.names()
    names_in_order = [
        "n_view_session",
        "n_home_step",
        "n_events",
        "n_items",
        "last_seen_price",
        "rating",
    ]
    assert sorted(names_in_order, key=names.index) == names_in_order
    assert names[-2:] == ("hour", "weekday")


def test_a_column_that_another_feature_declares_is_refused():
    with pytest.raises(ValueError, match="behaviour: n_events is registered twice, as .*count_eve"):
        numeric_feature(required("n_events", LONG, "events again"))(lambda log: iter(()))


@pytest.mark.parametrize(
    ("computed", "message"),
    [
        ({"m": np.zeros(2)}, r"computed columns \['m'\], declared \['n'\]; make both the same"),
        ({"n": np.zeros(3)}, r"3 values in n, wanted 2, one per pair of user and cutoff"),
    ],
)
def test_a_feature_that_computes_other_columns_or_lengths_than_declared_is_refused(
    computed, message
):
    def compute(log):
        return iter(computed.items())

    compute.columns = {"n": required("n", LONG, "a count")}
    log = SimpleNamespace(pairs=SimpleNamespace(n_groups=2))
    with pytest.raises(ValueError, match=message):
        compute_numeric_features(log, [compute])
