"""What a ranker learns from is what it is asked by later."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.evaluation.relevant_items import BOUGHT, INTERACTED
from profile_lib.recommend.ranking.examples import (
    build_candidate_rows,
    build_impression_rows,
    compute_ranker_features,
)
from profile_lib.recommend.serving.requests import REQUEST_COLUMNS
from tests.recommend.asked import at, profiles, recent_event
from tests.recommend.serving.test_recommender import BOOT, CAP, GLOVE, HAT, SHOE
from tests.recommend.small_recommender import small_learned

ANN = {
    "user_id": "ann",
    "recent": [recent_event(9, "view", "hat"), recent_event(8, "view", "shoe")],
}
EVERYTHING = 5  # items


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where what was learned of a small shop lies."""
    at_folder = tmp_path_factory.mktemp("ranker") / "learned"
    small_learned().save(at_folder)
    return str(at_folder)


def asked_at(spark, **columns):
    """Ann's profile with more columns."""
    told = profiles(ANN)
    batch = pa.table({name: told[name] for name in ("user_id", *REQUEST_COLUMNS)})
    frame = spark.createDataFrame(batch).withColumn("cutoff_ts", F.lit(at(10)))
    return frame.withColumns(columns)


def past(spark, split):
    wanted = {
        "relevant": F.array(F.lit(BOOT), F.lit(CAP)).cast("array<int>"),
        "relevance": F.array(F.lit(INTERACTED), F.lit(BOUGHT)).cast("array<float>"),
    }
    return asked_at(spark, split=F.lit(split), row_hash=F.lit(7).cast("long"), **wanted)


def by_item(rows):
    return {row["item"]: row for row in rows.collect()}


def test_rows_that_were_drawn_hold_the_same_numbers_as_where_all_are_kept(spark, folder):
    rules = {"candidates_per_source": EVERYTHING, "seed": 2}
    some = by_item(
        build_candidate_rows(past(spark, "train"), folder, "v", negatives_per_cutoff=1, **rules)
    )
    whole = by_item(
        build_candidate_rows(past(spark, "test"), folder, "v", negatives_per_cutoff=1, **rules)
    )
    assert set(some) < set(whole)
    assert {BOOT, CAP} < set(some)
    for item, row in some.items():
        np.testing.assert_array_equal(row["numeric"], whole[item]["numeric"])
    met = {item: (row["interacted"], row["bought"]) for item, row in whole.items()}
    assert met == {SHOE: (0, 0), BOOT: (1, 0), HAT: (0, 0), CAP: (1, 1)}


def test_what_was_shown_holds_the_numbers_that_the_ranker_is_asked_by(spark, folder):
    shown = {
        "items": F.array(F.lit(BOOT), F.lit(GLOVE)).cast("array<int>"),
        "is_interacted": F.array(F.lit(1), F.lit(0)).cast("array<int>"),
        "is_bought": F.array(F.lit(0), F.lit(0)).cast("array<int>"),
        "weights": F.array(F.lit(2.5), F.lit(1.0)),
        "query": F.lit(None).cast("string"),
        "split": F.lit("train"),
    }
    found = by_item(
        build_impression_rows(
            asked_at(spark, **shown), folder, "v", candidates_per_source=EVERYTHING
        )
    )
    told = {item: (row["interacted"], row["sampling_weight"]) for item, row in found.items()}
    assert told == {BOOT: (1, 2.5), GLOVE: (0, 1.0)}
    known = small_learned()
    asked = known.reader.read_requests(profiles(ANN))
    pairs = propose_candidates(known.sources, asked, EVERYTHING)
    served = compute_ranker_features(known, asked, pairs)[pairs.item == BOOT][0]
    np.testing.assert_array_equal(found[BOOT]["numeric"], served)
