"""Segments from run to run: ids live on with their members, audiences know since when."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import segment_users
from profile_lib.tables import AUDIENCES, CLUSTERINGS, CLUSTERS, USER_PROFILES, USER_SEGMENTS
from tests.worlds import CONF, profile_row

LIKES = ("pets", "books", "shoes", "games")
DAYS = [datetime(2026, 1, day) for day in range(1, 5)]
TABLES = {t.name: t for t in (CLUSTERS, CLUSTERINGS, USER_SEGMENTS, AUDIENCES)}


def users(axis: int, n: int, day: int, model: str):
    """Users who like one thing, u0-0, u0-1, …; those with odd numbers ordered once."""
    for number in range(n):
        noise = np.random.default_rng(100 * axis + number).normal(0, 0.05, 5)
        yield profile_row(
            f"u{axis}-{number}",
            interest_vector=(np.eye(5)[axis] + noise).tolist(),
            categories=[(LIKES[axis], 2.0)],
            n_orders=number % 2,
            model_version=model,
            as_of_ts=DAYS[day],
        )


def put(store: Store, *groups) -> None:
    rows = [row for group in groups for row in group]
    store.replace(USER_PROFILES, store.spark.createDataFrame(rows, USER_PROFILES.schema))


def segment(store: Store, **changes: str) -> None:
    given = {"min_clusters": 2, "max_clusters": 5, "prior_users": 1, **changes}
    told = [f"segments.{key}={value}" for key, value in given.items()]
    segment_users.run(store, load_settings(str(CONF / "dev.yaml"), told))


def state(store: Store):
    """What the tables hold, and the versions of those that runs without news leave alone."""
    told = {n: store.read(t).orderBy(*t.key).collect() for n, t in TABLES.items()}
    told["versions"] = [store.version(t) for t in (CLUSTERS, CLUSTERINGS, USER_SEGMENTS)]
    return told


def clusters(told):
    return {
        r["cluster_id"]: (r["description"], r["n_users"], r["is_retired"]) for r in told["clusters"]
    }


def break_off(store: Store) -> None:
    """A run that ends before its last table is written."""
    whole = store.replace

    def breaks(table, *rest, **more):
        if table is USER_SEGMENTS:
            raise KeyboardInterrupt
        whole(table, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "replace", breaks)
        with pytest.raises(KeyboardInterrupt):
            segment(store)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("segments")


@pytest.fixture(scope="module")
def story(spark, folder):
    """What the tables hold after each of some runs."""
    store = Store(spark, str(folder / "tables"))
    (folder / "seeds.csv").write_text("user_id\nu0-0\nu0-1\nnever seen\n")
    rules = {"audiences": "{buyers: \"n_orders > 0 and rfm_segment != 'Prospects'\"}"}
    alike = {
        "lookalikes": f"{{alike: {{seeds: {folder}/seeds.csv, n_users: 10}}}}",
        "export_folder": str(folder / "out"),
    }
    told = {}
    awaits = profile_row("new", model_version="m1")
    put(store, *(users(axis, 12, 1, "m1") for axis in range(3)), [awaits])
    segment(store, **rules, **alike)
    told["first"] = state(store)
    segment(store, **rules)
    told["nothing new"] = state(store)
    # Another model, more users of two kinds, none of the third and those of a fourth.
    put(store, users(2, 20, 2, "m2"), users(0, 20, 2, "m2"), users(3, 12, 2, "m2"))
    break_off(store)
    segment(store, **rules)
    told["second"] = state(store)
    put(store, users(1, 12, 3, "m2"), users(0, 12, 3, "m2"), users(3, 12, 3, "m2"))
    segment(store)
    told["third"] = state(store)
    return told


def test_clear_kinds_of_users_are_clusters_told_by_what_they_like(story):
    assert set(clusters(story["first"])) == {1, 2, 3}
    told = sorted(clusters(story["first"]).values())
    assert told == [("books", 12, False), ("pets", 12, False), ("shoes", 12, False)]
    (run,) = story["first"]["clusterings"]
    assert (run["n_clusters"], run["n_users"], run["n_users_without_vector"]) == (3, 36, 1)
    assert (run["as_of_ts"], run["seed_adjusted_rand"], run["previous_adjusted_rand"]) == (
        DAYS[1],
        1.0,
        None,
    )


def test_every_user_has_a_name_and_those_with_a_vector_a_cluster(story):
    segments = {r["user_id"]: r for r in story["first"]["user_segments"]}
    assert len(segments) == 37
    assert segments["u1-3"]["rfm_segment"] == "New Customers"
    assert (segments["new"]["rfm_segment"], segments["new"]["cluster_id"]) == ("Prospects", None)
    assert segments["u1-3"]["recency_days"] == 1.0
    assert segments["u1-3"]["cluster_id"] == segments["u1-4"]["cluster_id"]


def test_a_run_without_news_writes_no_clusters(story):
    assert story["nothing new"]["versions"] == story["first"]["versions"]


def test_ids_live_on_with_their_members_by_another_model_and_after_a_broken_run(story):
    ids = {like: number for number, (like, *_) in clusters(story["first"]).items()}
    found = clusters(story["second"])
    (fresh,) = set(found) - {1, 2, 3}
    assert found == {
        ids["pets"]: ("pets", 20, False),
        ids["shoes"]: ("shoes", 20, False),
        ids["books"]: ("books", 12, True),
        fresh: ("games", 12, False),
    }
    run = max(story["second"]["clusterings"], key=lambda r: r["version"])
    assert (run["version"], run["previous_adjusted_rand"], run["share_users_unchanged"]) == (
        2,
        1.0,
        1.0,
    )
    assert run["previous_mean_jaccard"] == pytest.approx(2 / 3)


def test_an_id_that_is_retired_never_comes_back(story):
    before, found = clusters(story["second"]), clusters(story["third"])
    (fresh,) = set(found) - set(before)
    assert found[fresh] == ("books", 12, False)
    assert fresh == max(found)
    retired = {like for like, _, is_retired in found.values() if is_retired}
    assert retired == {"books", "shoes"}


def test_audiences_know_since_when_a_user_is_in_them(story):
    def buyers(told):
        return {r["user_id"]: r["added_ts"] for r in told["audiences"] if r["audience"] == "buyers"}

    odd = range(1, 12, 2)
    assert buyers(story["first"]) == {f"u{a}-{n}": DAYS[1] for a in range(3) for n in odd}
    stayed = {f"u{a}-{n}": DAYS[1] for a in (0, 2) for n in odd}
    came = [(a, n) for a in (0, 2) for n in range(13, 20, 2)] + [(3, n) for n in odd]
    assert buyers(story["second"]) == stayed | {f"u{a}-{n}": DAYS[2] for a, n in came}


def test_users_like_those_of_a_list_are_an_audience_and_a_file_of_pseudonyms(story, folder):
    alike = [r for r in story["first"]["audiences"] if r["audience"] == "alike"]
    assert {r["user_id"] for r in alike} == {f"u0-{n}" for n in range(2, 12)}
    assert min(r["score"] for r in alike) > 0.5
    lines = (folder / "out" / "alike.csv").read_text().split()
    assert (lines[0], set(lines[1:])) == ("user_id", {r["user_id"] for r in alike})


def test_an_audience_that_is_no_more_in_the_settings_is_no_more(story):
    assert {r["audience"] for r in story["nothing new"]["audiences"]} == {"buyers"}
    assert story["third"]["audiences"] == []


def test_bad_rules_and_lists_are_told_before_anything_is_written(store, tmp_path):
    (tmp_path / "none.csv").write_text("user_id\n")
    empty = f"{{alike: {{seeds: {tmp_path}/none.csv, n_users: 3}}}}"
    put(store, users(0, 5, 1, "m1"), users(1, 5, 1, "m1"))
    with pytest.raises(InputError, match="segments.audiences.x: no column n_o in"):
        segment(store, audiences="{x: n_o > 1}")
    with pytest.raises(InputError, match="segments.lookalikes.alike: found no user"):
        segment(store, lookalikes=empty)
    assert not any(store.exists(table) for table in TABLES.values())
    with pytest.raises(InputError, match="audiences and lookalikes share"):
        segment(store, audiences="{alike: n_orders > 1}", lookalikes=empty)
