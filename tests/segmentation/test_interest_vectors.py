"""Check which vectors are used, left out and refused."""

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


def test_users_without_a_usable_vector_are_left_out(rows):
    profiles = rows(
        COLUMNS,
        ("ann", [3.0, 0.1], "m1", FIRST),
        ("bob", [0.0, 0.5], "m1", LAST),
        ("nan", [NAN, 0.5], "m1", FIRST),
        ("inf", [float("inf"), 0.5], "m1", FIRST),
        ("null", [None, 0.5], "m1", FIRST),
        ("zero", [0.0, 0.0], "m1", FIRST),
        ("empty", [], "m0", FIRST),
    )
    summary = summarise_vectors(profiles)
    assert (summary.n_profiles, summary.as_of, summary.model_version) == (7, LAST, "m1")
    assigned = assign_clusters(profiles, np.eye(2)).collect()
    assert {r["user_id"]: r["cluster"] for r in assigned} == {"ann": 0, "bob": 1}
    assert sorted(sample_vectors(profiles, 10, seed=1).round(1).tolist()) == [
        [0.0, 1.0],
        [1.0, 0.0],
    ]
    scores = {
        r["user_id"]: r["score"] for r in score_users(profiles, np.array([0.0, 2.0]), -2).collect()
    }
    assert scores["bob"] == 0.5
    assert scores["ann"] == pytest.approx(1 / (1 + np.exp(2)), abs=0.01)


def test_sampled_users_stay_sampled_when_other_users_leave(rows):
    users = [(f"u{n}", [1.0, float(n)], "m1", FIRST) for n in range(40)]
    sample = sample_vectors(rows(COLUMNS, *users), 10, seed=1)
    half_sample = sample_vectors(rows(COLUMNS, *users[:20]), 10, seed=1)
    in_both = {tuple(v) for v in sample} & {tuple(v) for v in half_sample}
    of_remaining_users = {tuple(v) for v in sample.tolist() if v[1] / v[0] < 19.5}
    assert len(sample) == len(half_sample) == 10
    assert in_both >= of_remaining_users


def test_vectors_of_several_models_are_refused(rows):
    profiles = rows(COLUMNS, ("ann", [1.0], "m1", FIRST), ("bob", [1.0], "m2", FIRST))
    with pytest.raises(InputError, match=r"vectors of several models, \['m1', 'm2'\], wanted one"):
        summarise_vectors(profiles)


def test_vectors_of_several_sizes_are_refused(rows):
    profiles = rows(COLUMNS, ("ann", [1.0], "m1", FIRST), ("bob", [1.0, 2.0], "m1", FIRST))
    with pytest.raises(InputError, match=r"vectors of several sizes, \[1, 2\], wanted one"):
        summarise_vectors(profiles)


def test_profiles_without_any_interest_vector_are_refused(rows):
    with pytest.raises(InputError, match="none of 1 has an interest vector; run python"):
        summarise_vectors(rows(COLUMNS, ("ann", [], "m1", FIRST)))
