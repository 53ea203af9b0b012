"""Segments from run to run: ids live on with their members, audiences know since when."""

from datetime import datetime

import numpy as np
import pytest

from jobs import segment_users
from profile_lib.config import load_settings
from profile_lib.errors import InputError
from profile_lib.tables import AUDIENCES, CLUSTERINGS, CLUSTERS, USER_PROFILES, USER_SEGMENTS
from tests.worlds import CONF, profile

LIKES = ("pets", "books", "shoes", "games")
FIRST, SECOND = datetime(2026, 1, 2), datetime(2026, 1, 3)


def users(axis: int, n: int, first: int = 0, **told):
    """Users who like one thing: u0-0, u0-1, …"""
    for number in range(first, first + n):
        noise = np.random.default_rng(100 * axis + number).normal(0, 0.05, 5)
        told = {"model_version": "m1", "as_of_ts": FIRST, **told}
        yield profile(
            f"u{axis}-{number}",
            interest_vector=(np.eye(5)[axis] + noise).tolist(),
            categories=[(LIKES[axis], 2.0)],
            n_orders=number % 2,
            **told,
        )


@pytest.fixture
def run(store):
    """Write profiles and run the job on them."""

    def run(*profiles, **changes):
        frame = store.spark.createDataFrame([*profiles], USER_PROFILES.schema)
        store.replace(USER_PROFILES, frame)
        again(**changes)

    def again(**changes):
        given = {"min_clusters": 2, "max_clusters": 5, "prior_users": 1, **changes}
        told = [f"segments.{key}={value}" for key, value in given.items()]
        segment_users.run(store, load_settings(str(CONF / "dev.yaml"), told), None)

    run.again = again
    return run


def clusters(store):
    return {
        r["cluster_id"]: (r["description"], r["n_users"], r["is_retired"])
        for r in store.read(CLUSTERS).collect()
    }


def rows_of(store, *tables):
    return [sorted(map(str, store.read(table).collect())) for table in tables]


def test_ids_live_on_with_their_members_and_are_never_given_again(store, run):
    pets, books, shoes = (list(users(axis, 12)) for axis in range(3))
    run(*pets, *books, *shoes, profile("new", model_version="m1"))
    before = clusters(store)
    ids = {description: number for number, (description, *_) in before.items()}
    assert sorted(before.values()) == [(like, 12, False) for like in ("books", "pets", "shoes")]
    told = store.read(CLUSTERINGS).collect()[0]
    assert (told["n_clusters"], told["n_users"], told["n_without_vector"]) == (3, 36, 1)
    assert (told["seed_rand"], told["former_rand"]) == (1.0, None)

    # Nothing new: nothing is written.
    versions = [store.version(t) for t in (CLUSTERS, CLUSTERINGS, USER_SEGMENTS)]
    run.again()
    assert [store.version(t) for t in (CLUSTERS, CLUSTERINGS, USER_SEGMENTS)] == versions

    # More users of three kinds by another model, a kind that is new, and one that is gone.
    others = {"model_version": "m2", "as_of_ts": SECOND}
    run(*users(2, 20, **others), *users(0, 20, **others), *users(3, 20, **others))
    after = clusters(store)
    assert after == {
        ids["pets"]: ("pets", 20, False),
        ids["shoes"]: ("shoes", 20, False),
        ids["books"]: ("books", 12, True),
        4: ("games", 20, False),
    }
    told = store.read(CLUSTERINGS).where("version = 2").collect()[0]
    assert (told["former_rand"], told["share_staying"]) == (1.0, 1.0)
    assert told["former_jaccard"] == pytest.approx(2 / 3)

    # The books are back, but not the cluster.
    run(*books, *pets, *users(3, 20))
    assert clusters(store)[5] == ("books", 12, False)
    segments = {r["user_id"]: r for r in store.read(USER_SEGMENTS).collect()}
    assert segments["u1-3"]["cluster_id"] == 5
    assert segments["u1-3"]["rfm_segment"] == "New Customers"


def test_a_run_that_was_broken_off_is_done_again_against_the_same_one(store, run, monkeypatch):
    run(*users(0, 12), *users(1, 12))
    whole = store.replace

    def breaks(table, *rest):
        if table is USER_SEGMENTS:
            raise KeyboardInterrupt
        whole(table, *rest)

    monkeypatch.setattr(store, "replace", breaks)
    more = [*users(0, 20), *users(1, 12), *users(2, 12)]
    with pytest.raises(KeyboardInterrupt):
        run(*more)
    monkeypatch.undo()
    run.again()
    found = clusters(store)
    assert {(d, n) for d, n, _ in found.values()} == {("pets", 20), ("books", 12), ("shoes", 12)}
    assert not any(is_retired for *_, is_retired in found.values())
    told = {r["version"]: r["share_staying"] for r in store.read(CLUSTERINGS).collect()}
    assert told == {1: None, 2: 1.0}


def test_audiences_are_filled_and_know_since_when(store, run, tmp_path):
    (tmp_path / "seeds.csv").write_text("user_id\nu0-0\nu0-1\nu9-9\n")
    given = {
        "audiences": "{odd: \"n_orders > 0 and rfm_segment != 'Prospects'\"}",
        "lookalikes": f"{{alike: {{seeds: {tmp_path}/seeds.csv, n_users: 3}}}}",
        "export": str(tmp_path / "out"),
    }
    run(*users(0, 5), *users(1, 4), **given)
    alike = (tmp_path / "out" / "alike.csv").read_text().split()
    assert (alike[0], set(alike[1:])) == ("user_id", {"u0-2", "u0-3", "u0-4"})
    run(*users(0, 5, as_of_ts=SECOND), *users(1, 6), **given)
    found = {
        (r["audience"], r["user_id"]): (r["added_ts"], r["score"] is None)
        for r in store.read(AUDIENCES).collect()
    }
    odd = {("odd", f"u{axis}-{n}"): (FIRST, True) for axis in (0, 1) for n in (1, 3)}
    odd["odd", "u1-5"] = (SECOND, True)
    assert found == odd | {("alike", f"u0-{n}"): (FIRST, False) for n in (2, 3, 4)}
    run.again()
    assert store.read(AUDIENCES).count() == 0


def test_bad_rules_and_lists_are_told_before_anything_is_written(store, run, tmp_path):
    (tmp_path / "none.csv").write_text("user_id\n")
    empty = f"{{alike: {{seeds: {tmp_path}/none.csv, n_users: 3}}}}"
    with pytest.raises(
        InputError, match="segments.audiences.x: user_profiles and .* no column n_o"
    ):
        run(*users(0, 5), *users(1, 5), audiences="{x: n_o > 1}")
    with pytest.raises(InputError, match="segments.lookalikes.alike: found no user"):
        run(*users(0, 5), *users(1, 5), lookalikes=empty)
    assert not any(store.exists(t) for t in (CLUSTERS, USER_SEGMENTS, AUDIENCES))
    with pytest.raises(InputError, match="audiences and lookalikes share"):
        run.again(audiences="{alike: n_orders > 1}", lookalikes=empty)
    with pytest.raises(InputError, match="--date"):
        segment_users.run(store, load_settings(str(CONF / "dev.yaml")), FIRST.date())
