"""Test what holds for every registered source, as the library `implicit` does."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from profile_lib.arrays.groups import slice_batches
from profile_lib.recommend.candidates.registry import read_source_specs, registered_sources
from profile_lib.recommend.candidates.source import Need, SourceData, Validation
from profile_lib.recommend.candidates.storage import load_sources, save_sources
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.histories import build_histories, number_items
from profile_lib.recommend.data.profile_reader import ProfileReader, QueryTexts
from profile_lib.recommend.data.vectors import normalise_rows
from profile_lib.recommend.evaluation.protocols import leave_one_out
from tests.recommend.request_rows import DAY, profile_batch, recent_event

N_ITEMS, K = 8, 5
ITEM_IDS = [f"item{number}" for number in range(N_ITEMS)]
WEIGHTS = {"view": 1.0, "purchase": 4.0}
CLOSED_FORM = {"l2": 1.0, "max_neighbours": 5, "max_items": N_ITEMS, "decay": 0.8}
SETTINGS = {  # every registered kind needs an entry
    "buy_again": {"prior_share": 0.1, "prior_count": 2.0},
    "demand": {
        "rising": False,
        "half_life_days": 14.0,
        "short_half_life_days": 3.0,
        "prior_demand": 5.0,
        "max_items_per_context": N_ITEMS,
    },
    "ease": CLOSED_FORM,
    "factors": {"rank": 2, "iterations": 2, "alpha": 2.0, "l2": 0.1},
    "fused": {"methods": ["ease", "popularity"], "candidates_per_source": 5, "n_draws": 3},
    "interest": {},
    "item_neighbours": {
        "similarity": "cosine",
        "window": 3,
        "gap_power": 1.0,
        "backward_weight": 0.5,
        "shrink": 1.0,
        "max_neighbours": 5,
        "decay": 0.8,
    },
    "popularity": {},
    "ridge": CLOSED_FORM | {"future_decay": 0.7},
    "sasrec": {
        "max_steps": 4,
        "width": 8,
        "layers": 1,
        "heads": 1,
        "dropout": 0.0,
        "epochs": 2,
        "patience": 1,
        "batch_steps": 32,
        "learning_rate": 0.01,
        "n_seeds": 1,
    },
    "text_neighbours": {"max_neighbours": 3, "decay": 0.8, "demand_power": 0.5},
    "user_neighbours": {
        "similarity": "cosine",
        "max_users": 20,
        "n_neighbours": 5,
        "max_users_per_item": 10,
        "decay": 0.9,
    },
}
KINDS = sorted(registered_sources())


def event_rows():
    """Write events of six users, who view and buy some items."""
    rows = []
    for user in range(6):
        for step, event_type in enumerate(("view", "purchase", "view", "purchase")):
            item = ITEM_IDS[(user + (1 if event_type == "purchase" else step)) % (N_ITEMS - 1)]
            second = datetime.fromtimestamp((user + 5 * step) * DAY, UTC)
            region = ("North", "South")[user % 2]
            event_id = f"e{user}{step}"
            rows.append((f"u{user}", item, event_type, region, second, None, event_id, second))
    return rows


@pytest.fixture(scope="module")
def sources(spark, tmp_path_factory):
    """Fit one source of every kind to the same small shop."""
    events = spark.createDataFrame(
        event_rows(),
        "user_id string, item_id string, event_type string, region string, event_ts timestamp, "
        "sequence long, event_id string, local_date date",
    )
    items = number_items(spark.createDataFrame([(item,) for item in ITEM_IDS], "item_id string"))
    histories = build_histories(events, items, WEIGHTS, max_steps=10).cache()
    split = leave_one_out(histories).cache()
    entries = {kind: {"kind": kind, **SETTINGS[kind]} for kind in KINDS}
    specs = read_source_specs(entries, "sources", frozenset(Need))
    rng = np.random.default_rng(1)
    fitted = {}

    def fit(kind):
        return fitted[kind]

    data = SourceData(
        histories,
        normalise_rows(rng.normal(size=(N_ITEMS, 2))),
        approximate_search_from=100,
        seed=1,
        events=events,
        items=items,
        interest_map=np.array([[1, 0], [0, 1], [0, 0]], np.float32),
        contexts={"region": ["North", "South"]},
        weights=WEIGHTS,
        now=30 * DAY,
        validation=Validation(split, K, tmp_path_factory.mktemp("fits"), fit, fit),
    )
    combined_last = sorted(specs, key=lambda kind: len(SETTINGS[kind].get("methods", ())))
    for kind in combined_last:
        fitted[kind] = specs[kind].fit(data)
    histories.unpersist()
    split.unpersist()
    return fitted


@pytest.fixture(scope="module")
def requests_of():
    reader = ProfileReader(
        items=pa.array(ITEM_IDS),
        weights=WEIGHTS,
        contexts={"region": ["North", "South"]},
        model_version="m-1",
        interest_size=2,
        texts=QueryTexts(pa.array(["a query"]), np.zeros((1, 2)), ("search",), 1800),
    )
    return reader.read_requests


PROFILES = profile_batch(
    {
        "recent": [recent_event(26 * DAY, "view", "item1"), recent_event(DAY, "purchase", "item2")],
        "regions": [("North", 3)],
        "as_of_ts": datetime.fromtimestamp(30 * DAY, UTC),
    },
    {"recent": [recent_event(8, "view", "item4"), recent_event(7, "view", "item0")]},
    {"interest_vector": []},  # nothing is known of this user
    {"recent": [recent_event(5, "purchase", "item3")], "interest_vector": [-1.0, 0.2]},
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_proposes_items_of_the_catalog_to_some_user(sources, requests_of, kind):
    scores = sources[kind].scores(requests_of(PROFILES), K)
    assert scores.shape == (PROFILES.num_rows, N_ITEMS)
    assert scores.nnz > 0
    assert np.isfinite(scores.data).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_ordered_and_holds_an_item_once(sources, requests_of, kind):
    scores = sources[kind].scores(requests_of(PROFILES), K)
    for start, end in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
        assert (np.diff(scores.data[start:end]) <= 0).all()
        assert len(set(scores.indices[start:end])) == end - start


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gets_the_same_scores_as_its_users_one_by_one(sources, requests_of, kind):
    together = sources[kind].scores(requests_of(PROFILES), K).toarray()
    alone = [
        sources[kind].scores(requests_of(profile), K).toarray()
        for profile in slice_batches([PROFILES], 1)
    ]
    np.testing.assert_allclose(np.vstack(alone), together, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_users_gets_no_candidates(sources, requests_of, kind):
    assert sources[kind].scores(requests_of(PROFILES.slice(0, 0)), K).shape == (0, N_ITEMS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_explanation_is_an_item_of_the_history_or_missing(sources, requests_of, kind):
    requests = requests_of(PROFILES)
    scores = sources[kind].scores(requests, K)
    user = np.repeat(np.arange(PROFILES.num_rows), np.diff(scores.indptr))
    explained = sources[kind].explain(requests, user, scores.indices.astype(np.int64))
    steps = requests.histories
    for row, item in zip(user, explained, strict=True):
        assert item == MISSING or item in steps.items[steps.user == row]


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_source_scores_as_the_one_that_was_saved(sources, requests_of, kind, tmp_path):
    save_sources(tmp_path, {"first": sources[kind], "second": sources[kind]})
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    loaded = load_sources(tmp_path)
    assert list(loaded) == ["first", "second"]
    expected = sources[kind].scores(requests_of(PROFILES), K).toarray()
    for source in loaded.values():
        assert type(source) is type(sources[kind])
        assert source.choices == sources[kind].choices
        np.testing.assert_array_equal(source.scores(requests_of(PROFILES), K).toarray(), expected)
