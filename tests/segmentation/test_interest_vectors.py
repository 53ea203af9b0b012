"""Vectors that cannot be used are left out, those that cannot be compared are told."""

from datetime import datetime

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.segmentation.interest_vectors import (
    assign_clusters,
    sample_vectors,
    score_users,
    summarise_vectors,
)

COLUMNS = "user_id string, interest_vector array<float>, model_version string, as_of_ts timestamp"
NAN, FIRST, LAST = float("nan"), datetime(2026, 1, 1), datetime(2026, 1, 9)


def test_users_without_a_usable_vector_are_in_no_cluster(rows):
    profiles = rows(
        COLUMNS,
        ("ann", [3.0, 0.1], "m1", FIRST),
        ("bob", [0.0, 0.5], "m1", LAST),
        ("nan", [NAN, 0.5], "m1", FIRST),
        ("inf", [float("inf"), 0.5], "m1", FIRST),
        ("null", [None, 0.5], "m1", FIRST),
        ("zero", [0.0, 0.0], "m1", FIRST),
        ("pending_input", [], "m0", FIRST),
    )
    told = summarise_vectors(profiles)
    assert (told.n_profiles, told.as_of, told.model_version) == (7, LAST, "m1")
    found = assign_clusters(profiles, np.eye(2)).collect()
    assert {r["user_id"]: r["cluster"] for r in found} == {"ann": 0, "bob": 1}
    assert sorted(sample_vectors(profiles, 10, seed=1).round(1).tolist()) == [
        [0.0, 1.0],
        [1.0, 0.0],
    ]
    scores = {
        r["user_id"]: r["score"] for r in score_users(profiles, np.array([0.0, 2.0]), -2).collect()
    }
    assert scores["bob"] == 0.5
    assert scores["ann"] == pytest.approx(1 / (1 + np.exp(2)), abs=0.01)


def test_a_sample_holds_the_same_users_when_others_go(rows):
    users = [(f"u{n}", [1.0, float(n)], "m1", FIRST) for n in range(40)]
    drawn = sample_vectors(rows(COLUMNS, *users), 10, seed=1)
    of_half = sample_vectors(rows(COLUMNS, *users[:20]), 10, seed=1)
    both = {tuple(v) for v in drawn} & {tuple(v) for v in of_half}
    kept = [v for v in drawn.tolist() if v[1] / v[0] < 19.5]
    assert len(drawn) == len(of_half) == 10
    assert both >= {tuple(v) for v in kept}


def test_vectors_of_two_models_cannot_be_compared(rows):
    profiles = rows(COLUMNS, ("ann", [1.0], "m1", FIRST), ("bob", [1.0], "m2", FIRST))
    with pytest.raises(InputError, match=r"vectors of several models, \['m1', 'm2'\], wanted one"):
        summarise_vectors(profiles)


def test_vectors_of_two_sizes_cannot_be_compared(rows):
    profiles = rows(COLUMNS, ("ann", [1.0], "m1", FIRST), ("bob", [1.0, 2.0], "m1", FIRST))
    with pytest.raises(InputError, match=r"vectors of several sizes, \[1, 2\], wanted one"):
        summarise_vectors(profiles)


def test_profiles_that_all_await_the_model_are_told(rows):
    with pytest.raises(InputError, match="none of 1 has an interest vector; run python"):
        summarise_vectors(rows(COLUMNS, ("ann", [], "m1", FIRST)))
