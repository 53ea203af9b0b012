"""Check which terms distinguish a cluster from the others."""

import numpy as np
import pytest

from profile_lib.segmentation.describe import describe_cluster, find_distinctive_terms

INTERESTS = "array<struct<name:string,weight:double>>"
PROFILES = f"user_id string, categories {INTERESTS}, brands {INTERESTS}, keywords {INTERESTS}"


def terms_of(rows, users, **options):
    """The terms by cluster and kind of users given as (cluster, categories, brands, keywords)."""
    profiles = rows(PROFILES, *((f"u{n}", *user[1:]) for n, user in enumerate(users)))
    clusters = rows("user_id string, cluster int", *((f"u{n}", u[0]) for n, u in enumerate(users)))
    terms = find_distinctive_terms(profiles, clusters, **options).collect()
    return {(r["cluster"], r["kind"]): [tuple(t) for t in r["terms"]] for r in terms}


def names(terms):
    return [term[0] for term in terms]


def test_each_user_has_one_vote_per_kind_and_shares_include_the_prior(rows):
    users = [
        (0, [("pets", 30.0), ("toys", 10.0)], [], []),
        (0, [("pets", 1.0)], [("Whiskery", 2.0)], []),
        (1, [("toys", 5.0)], [], [("brick", 1.0)]),
        (1, [("toys", 5.0), ("pets", 5.0)], [], [("brick", 1.0)]),
    ]
    terms = terms_of(rows, users, prior_users=2.0, n_terms=5)
    # Pets has 1.75 of the 2 votes of cluster 0 and 2.25 of all 4; the prior adds 2 * 2.25 / 4.
    share = (1.75 + 1.125) / (2 + 2)
    assert {key: names(terms_of_key) for key, terms_of_key in terms.items()} == {
        (0, "categories"): ["pets"],
        (0, "brands"): ["Whiskery"],
        (1, "categories"): ["toys"],
        (1, "keywords"): ["brick"],
    }
    assert terms[0, "categories"][0][1:] == pytest.approx((share, share / (2.25 / 4)))
    # Whiskery has 1 vote of the 2 in cluster 0, the other is for no brand, and 1 of all 4.
    assert terms[0, "brands"][0][1:] == pytest.approx(((1 + 0.5) / 4, (1 + 0.5) / 4 / (1 / 4)))


def test_a_cluster_of_users_without_interests_is_described_as_not_known_yet(rows):
    users = (
        [(0, [], [], [])] * 9 + [(0, [("pets", 1.0)], [], [])] + [(1, [("pets", 1.0)], [], [])] * 5
    )
    terms = terms_of(rows, users, prior_users=1.0, n_terms=2)
    assert {key: names(terms_of_key) for key, terms_of_key in terms.items()} == {
        (0, "categories"): ["not known yet"],
        (1, "categories"): ["pets"],
    }


def test_a_common_word_comes_before_a_rare_one_with_a_higher_lift(rows):
    mixed = [(0, [], [], [("bed", 1.0)])] * 20 + [(1, [], [], [("bed", 1.0)])] * 10
    users = [*mixed, (0, [], [], [("rare", 1.0)]), *[(1, [], [], [("sofa", 1.0)])] * 20]
    terms = terms_of(rows, users, prior_users=1.0, n_terms=2)[0, "keywords"]
    assert names(terms) == ["bed", "rare"]
    assert terms[0][2] < terms[1][2]
    assert names(terms_of(rows, users, prior_users=1.0, n_terms=1)[0, "keywords"]) == ["bed"]


def test_terms_are_ordered_by_the_z_score_of_their_log_odds(rows):
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
    terms = terms_of(rows, users, prior_users=3.0, n_terms=4)
    assert names(terms[0, "categories"]) == ["b", "a"]
    assert names(terms[1, "categories"]) == ["c", "d"]
    assert z[1] > z[0] > 0 > z[3] > z[2]


def test_a_cluster_without_distinctive_terms_is_described_as_like_all_others():
    assert describe_cluster({}) == "like all the others"
