"""Test that training rows hold the numbers that the ranker reads while serving."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.data.profile_columns import REQUEST_COLUMNS
from profile_lib.recommend.data.relevant_items import BOUGHT, INTERACTED
from profile_lib.recommend.ranking.examples import (
    build_candidate_rows,
    build_impression_rows,
    compute_ranker_features,
)
from tests.recommend.request_rows import moment, profile_batch, recent_event
from tests.recommend.small_recommender import BOOT, CAP, GLOVE, HAT, SHOE, small_retrieval

ANN = {
    "user_id": "ann",
    "recent": [recent_event(9, "view", "hat"), recent_event(8, "view", "shoe")],
}
N_ITEMS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Save the retrieval model of the small shop."""
    path = tmp_path_factory.mktemp("ranker") / "retrieval"
    small_retrieval().save(path)
    return str(path)


def request_frame(spark, **columns):
    """Make a frame of Ann's profile with more columns."""
    profiles = profile_batch(ANN)
    batch = pa.table({name: profiles[name] for name in ("user_id", *REQUEST_COLUMNS)})
    frame = spark.createDataFrame(batch).withColumn("cutoff_ts", F.lit(moment(10)))
    return frame.withColumns(columns)


def example_frame(spark, split):
    """Make Ann's example, before she looks at a boot and buys a cap."""
    return request_frame(
        spark,
        split=F.lit(split),
        row_hash=F.lit(7).cast("long"),
        relevant=F.array(F.lit(BOOT), F.lit(CAP)).cast("array<int>"),
        relevance=F.array(F.lit(INTERACTED), F.lit(BOUGHT)).cast("array<float>"),
    )


def rows_by_item(frame):
    return {row["item"]: row for row in frame.collect()}


def test_sampled_rows_hold_the_same_numbers_as_all_rows(spark, folder):
    rules = {"candidates_per_source": N_ITEMS, "negatives_per_cutoff": 1, "seed": 2}
    sampled, complete = (
        rows_by_item(build_candidate_rows(example_frame(spark, split), folder, "v", **rules))
        for split in ("train", "test")
    )
    assert {BOOT, CAP} < set(sampled) < set(complete)
    for item, row in sampled.items():
        np.testing.assert_array_equal(row["numeric"], complete[item]["numeric"])
    labels = {item: (row["interacted"], row["bought"]) for item, row in complete.items()}
    assert labels == {SHOE: (0, 0), BOOT: (1, 0), HAT: (0, 0), CAP: (1, 1)}


def test_rows_of_impressions_hold_the_numbers_that_the_ranker_reads(spark, folder):
    impressions = request_frame(
        spark,
        items=F.array(F.lit(BOOT), F.lit(GLOVE)).cast("array<int>"),
        is_interacted=F.array(F.lit(1), F.lit(0)).cast("array<int>"),
        is_bought=F.array(F.lit(0), F.lit(0)).cast("array<int>"),
        weights=F.array(F.lit(2.5), F.lit(1.0)),
        query=F.lit(None).cast("string"),
        split=F.lit("train"),
    )
    rows = rows_by_item(
        build_impression_rows(impressions, folder, "v", candidates_per_source=N_ITEMS)
    )
    labels = {item: (row["interacted"], row["sampling_weight"]) for item, row in rows.items()}
    assert labels == {BOOT: (1, 2.5), GLOVE: (0, 1.0)}
    retrieval = small_retrieval()
    requests = retrieval.reader.read_requests(profile_batch(ANN))
    pairs = propose_candidates(retrieval.sources, requests, N_ITEMS)
    served = compute_ranker_features(retrieval, requests, pairs)[pairs.item == BOOT][0]
    np.testing.assert_array_equal(rows[BOOT]["numeric"], served)
