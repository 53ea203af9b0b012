"""Test the check of source settings, and a source of another module."""

import importlib
import json
import sys
from dataclasses import replace

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from profile_lib.config.section import Section
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.popularity import Popularity
from profile_lib.recommend.candidates.registry import (
    CANDIDATE_SOURCES,
    candidate_source,
    read_source_specs,
)
from profile_lib.recommend.candidates.source import Need, SourceData
from profile_lib.recommend.candidates.storage import load_sources
from profile_lib.recommend.data.profile_columns import REQUEST_COLUMNS
from profile_lib.recommend.ranking.examples import count_found_by_source
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import ListBuilder
from profile_lib.recommend.serving.reasons import ReasonTexts
from tests.recommend.request_rows import moment, profile_batch
from tests.recommend.small_recommender import small_listing, small_retrieval
from tests.recommend.walks import walk_frame

EASE = {"kind": "ease", "l2": 1, "max_neighbours": 5, "max_items": 9, "decay": 0.8}
FUSED = {"kind": "fused", "methods": ["ease"], "candidates_per_source": 9, "n_draws": 1}
SASREC = {
    "kind": "sasrec", "max_steps": 4, "width": 8, "layers": 1, "heads": 1, "dropout": 0.0,
    "epochs": 1, "patience": 1, "batch_steps": 32, "learning_rate": 0.01, "n_seeds": 1,
}  # fmt: skip
FIRST_ITEMS = '''
"""Propose the first items of the catalog to everyone."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.config.section import Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.source import CandidateSource


class FirstItemsSettings(Section):
    n_items: int


@candidate_source("first_items", FirstItemsSettings)
@dataclass(frozen=True)
class FirstItems(CandidateSource):
    score: np.ndarray

    default_reason = "first in the catalog"

    @classmethod
    def fit(cls, data, settings):
        return cls((np.arange(data.n_items) < settings.n_items).astype(np.float32))

    def scores(self, requests, k):
        return sparse.csr_array(np.tile(self.score, (requests.histories.n_users, 1)))
'''


def read(available=frozenset(Need), **entries):
    return read_source_specs(entries, "recommend.sources", available)


def test_settings_become_a_class_and_its_typed_settings():
    specs = read(ease=EASE, left_out=None)
    assert list(specs) == ["ease"]
    assert specs["ease"].settings.max_neighbours == 5


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "eaze"}, "recommend.sources.x.kind: found eaze; wanted one of .* mean ease?"),
        ({}, "recommend.sources.x.kind: found nothing; wanted one of buy_again, de"),
        ({**EASE, "l3": 1}, "recommend.sources.x.l3: no such key"),
        ({"kind": "ease", "l2": 1}, "recommend.sources.x.max_neighbours: Field required"),
        ({**EASE, "decay": 2}, "recommend.sources.x.decay: found '2', Input should be less than"),
    ],
)
def test_an_invalid_setting_is_refused_by_its_key(entry, message):
    with pytest.raises(InputError, match=message):
        read(x=entry)


def test_a_kind_whose_data_is_not_available_is_refused():
    with pytest.raises(InputError, match="x.kind: found sasrec, which needs held-out validation"):
        read(available=frozenset({Need.EVENTS}), x=SASREC)


def test_a_combination_of_unknown_sources_is_refused():
    with pytest.raises(InputError, match="both: found 'ease', wanted names of recommend.sources"):
        read(both=FUSED, other=EASE)


def test_a_combination_of_sources_that_choose_by_validation_is_refused():
    with pytest.raises(InputError, match="'ease' chooses by the validation items itself"):
        read(both=FUSED, ease=SASREC)


def test_a_second_class_for_a_registered_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind: ease is registered twice, as .*\.Ease and"):
        candidate_source("ease", Section)(type("Other", (Popularity,), {}))


def test_a_saved_source_of_an_unregistered_kind_is_refused(tmp_path):
    small_retrieval().save(tmp_path / "retrieval")
    description = tmp_path / "retrieval" / "sources.json"
    described = json.loads(description.read_text())
    described[0]["kind"] = "unheard"
    description.write_text(json.dumps(described))
    with pytest.raises(InputError, match="source together: found kind unheard; wanted one of"):
        load_sources(tmp_path / "retrieval")


@pytest.fixture
def first_items_module(tmp_path, monkeypatch):
    """Import a module that registers the source `first_items`."""
    (tmp_path / "first_items.py").write_text(FIRST_ITEMS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(CANDIDATE_SOURCES, "by_name", CANDIDATE_SOURCES.all())
    yield importlib.import_module("first_items")
    del sys.modules["first_items"]


def test_a_source_of_another_module_is_fitted_saved_loaded_and_listed(
    spark, tmp_path, first_items_module
):
    specs = read(first={"kind": "first_items", "n_items": 2})
    retrieval = small_retrieval()
    data = SourceData(walk_frame(spark, [(0, 1)]), retrieval.catalog.vectors, 100, seed=1)
    sources = {"first": specs["first"].fit(data)}
    reason = first_items_module.FirstItems.default_reason
    reasons = ReasonTexts({"first": reason}, item="what you saw", place="the shop")
    replace(retrieval, sources=sources, reason_texts=reasons).save(tmp_path / "retrieval")

    loaded = RetrievalModel.load(tmp_path / "retrieval")
    recommender = replace(small_listing().recommender, sources=loaded.sources)
    rows = ListBuilder(loaded, recommender).build_lists(profile_batch({})).to_pylist()
    listed = [(row["item_id"], row["reasons"][0]["text"]) for row in rows]
    assert listed == [("shoe", reason), ("boot", reason)]


def test_workers_load_a_source_that_only_the_driver_has_registered(spark, tmp_path, monkeypatch):
    class FirstItem(Popularity):
        """A class that workers cannot import."""

    monkeypatch.setattr(CANDIDATE_SOURCES, "by_name", CANDIDATE_SOURCES.all())
    candidate_source("first_item", Section)(FirstItem)
    source = FirstItem.from_histories(walk_frame(spark, [(0,)]), 5)
    retrieval = replace(small_retrieval(), sources={"first": source})
    retrieval.save(tmp_path / "retrieval")
    profiles = pa.Table.from_batches([profile_batch({})]).select(REQUEST_COLUMNS)
    examples = spark.createDataFrame(profiles).withColumns(
        {
            "cutoff_ts": F.lit(moment(10)),
            "relevant": F.array(F.lit(0)),
            "relevance": F.array(F.lit(1.0).cast("float")),
        }
    )
    counts = count_found_by_source(
        examples, str(tmp_path / "retrieval"), "v1", candidates_per_source=5
    )
    assert {(row["source"], row["found"]) for row in counts.collect()} == {
        ("first", 1),
        ("all sources", 1),
    }
