"""A cluster is told by what it likes more than the others do."""

import numpy as np
import pytest

from profile_lib.segmentation.describe import describe_cluster, find_distinctive_terms

INTERESTS = "array<struct<name:string,weight:double>>"
PROFILES = f"user_id string, categories {INTERESTS}, brands {INTERESTS}, keywords {INTERESTS}"


def told(rows, users, **rules):
    """users: (cluster, categories, brands, keywords)."""
    profiles = rows(PROFILES, *((f"u{n}", *user[1:]) for n, user in enumerate(users)))
    clusters = rows("user_id string, cluster int", *((f"u{n}", u[0]) for n, u in enumerate(users)))
    found = find_distinctive_terms(profiles, clusters, **rules).collect()
    return {(r["cluster"], r["kind"]): [tuple(t) for t in r["terms"]] for r in found}


def names(terms):
    return [term[0] for term in terms]


def test_each_user_has_one_vote_and_shares_are_drawn_to_those_of_all(rows):
    users = [
        (0, [("pets", 30.0), ("toys", 10.0)], [], []),
        (0, [("pets", 1.0)], [("Whiskery", 2.0)], []),
        (1, [("toys", 5.0)], [], [("brick", 1.0)]),
        (1, [("toys", 5.0), ("pets", 5.0)], [], [("brick", 1.0)]),
    ]
    found = told(rows, users, prior_users=2.0, n_terms=5)
    # Pets: 1.75 of the 2 votes of cluster 0 and 2.25 of all 4; two users like all add 1.125.
    share = (1.75 + 1.125) / (2 + 2)
    assert {key: names(terms) for key, terms in found.items()} == {
        (0, "categories"): ["pets"],
        (0, "brands"): ["Whiskery"],
        (1, "categories"): ["toys"],
        (1, "keywords"): ["brick"],
    }
    assert found[0, "categories"][0][1:] == pytest.approx((share, share / (2.25 / 4)))
    # Whiskery: the vote of one of 2, beside one for none, and of all 4.
    assert found[0, "brands"][0][1:] == pytest.approx(((1 + 0.5) / 4, (1 + 0.5) / 4 / (1 / 4)))


def test_a_cluster_of_users_of_whom_no_interest_is_known_is_told_so(rows):
    users = (
        [(0, [], [], [])] * 9 + [(0, [("pets", 1.0)], [], [])] + [(1, [("pets", 1.0)], [], [])] * 5
    )
    found = told(rows, users, prior_users=1.0, n_terms=2)
    assert {key: names(terms) for key, terms in found.items()} == {
        (0, "categories"): ["not known yet"],
        (1, "categories"): ["pets"],
    }


def test_a_common_word_is_surer_than_a_rare_one_of_higher_lift(rows):
    mixed = [(0, [], [], [("bed", 1.0)])] * 20 + [(1, [], [], [("bed", 1.0)])] * 10
    users = [*mixed, (0, [], [], [("rare", 1.0)]), *[(1, [], [], [("sofa", 1.0)])] * 20]
    terms = told(rows, users, prior_users=1.0, n_terms=2)[0, "keywords"]
    assert names(terms) == ["bed", "rare"]
    assert terms[0][2] < terms[1][2]
    assert names(told(rows, users, prior_users=1.0, n_terms=1)[0, "keywords"]) == ["bed"]


def test_the_order_is_by_the_z_score_of_the_log_odds(rows):
    counts = np.array([[9, 8, 2, 1], [3, 1, 9, 5]], float)
    users = [
        (cluster, [(word, 1.0)], [], [])
        for cluster in (0, 1)
        for word, n in zip("abcd", counts[cluster], strict=True)
        for _ in range(int(n))
    ]
    prior = 3 * counts.sum(0) / counts.sum()
    odds = [np.log((y + prior) / (y.sum() + 3 - y - prior)) for y in counts]
    z = (odds[0] - odds[1]) / np.sqrt((1 / (counts + prior)).sum(0))
    found = told(rows, users, prior_users=3.0, n_terms=4)
    assert names(found[0, "categories"]) == ["b", "a"]
    assert names(found[1, "categories"]) == ["c", "d"]
    assert z[1] > z[0] > 0 > z[3] > z[2]


def test_a_cluster_that_is_like_all_the_others_is_told_to_be():
    assert describe_cluster({}) == "like all the others"
