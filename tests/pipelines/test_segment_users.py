"""Check segments over several runs: ids of clusters, audiences and interrupted runs."""

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

pytestmark = pytest.mark.slow

LIKES = ("pets", "books", "shoes", "games")
DAYS = [datetime(2026, 1, day) for day in range(1, 5)]
TABLES = {t.name: t for t in (CLUSTERS, CLUSTERINGS, USER_SEGMENTS, AUDIENCES)}


def users(axis: int, n: int, day: int, model: str):
    """Users of one interest, u0-0, u0-1, …; those with odd numbers have one order."""
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
    options = {"min_clusters": 2, "max_clusters": 5, "prior_users": 1, **changes}
    overrides = [f"segments.{key}={value}" for key, value in options.items()]
    segment_users.run(store, load_settings(str(CONF / "dev.yaml"), overrides))


def state(store: Store):
    """The rows of the tables, and the versions of those that a run may leave alone."""
    rows = {n: store.read(t).orderBy(*t.key).collect() for n, t in TABLES.items()}
    rows["versions"] = [store.version(t) for t in (CLUSTERS, CLUSTERINGS, USER_SEGMENTS)]
    return rows


def clusters(tables):
    return {
        r["cluster_id"]: (r["description"], r["n_users"], r["is_retired"])
        for r in tables["clusters"]
    }


def interrupt(store: Store) -> None:
    """Run, and interrupt just before the last table is written."""
    replace = store.replace

    def replace_or_interrupt(table, *arguments, **options):
        if table is USER_SEGMENTS:
            raise KeyboardInterrupt
        replace(table, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "replace", replace_or_interrupt)
        with pytest.raises(KeyboardInterrupt):
            segment(store)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("segments")


@pytest.fixture(scope="module")
def runs(spark, folder):
    """The state of the tables after each of several runs."""
    store = Store(spark, str(folder / "tables"))
    (folder / "seeds.csv").write_text("user_id\nu0-0\nu0-1\nnever seen\n")
    rules = {"audiences": "{buyers: \"n_orders > 0 and rfm_segment != 'Prospects'\"}"}
    lookalikes = {
        "lookalikes": f"{{alike: {{seeds: {folder}/seeds.csv, n_users: 10}}}}",
        "export_folder": str(folder / "out"),
    }
    states = {}
    pending = profile_row("new", model_version="m1")
    put(store, *(users(axis, 12, 1, "m1") for axis in range(3)), [pending])
    segment(store, **rules, **lookalikes)
    states["first"] = state(store)
    segment(store, **rules)
    states["unchanged"] = state(store)
    # Another model, more users of two interests, none of the third, and users of a fourth.
    put(store, users(2, 20, 2, "m2"), users(0, 20, 2, "m2"), users(3, 12, 2, "m2"))
    interrupt(store)
    segment(store, **rules)
    states["second"] = state(store)
    put(store, users(1, 12, 3, "m2"), users(0, 12, 3, "m2"), users(3, 12, 3, "m2"))
    segment(store)
    states["third"] = state(store)
    return states


def test_users_of_each_interest_are_one_cluster_described_by_it(runs):
    assert set(clusters(runs["first"])) == {1, 2, 3}
    described = sorted(clusters(runs["first"]).values())
    assert described == [("books", 12, False), ("pets", 12, False), ("shoes", 12, False)]
    (run,) = runs["first"]["clusterings"]
    assert (run["n_clusters"], run["n_users"], run["n_users_without_vector"]) == (3, 36, 1)
    assert (run["as_of_ts"], run["seed_adjusted_rand"], run["previous_adjusted_rand"]) == (
        DAYS[1],
        1.0,
        None,
    )


def test_every_user_has_an_rfm_segment_and_users_with_a_vector_a_cluster(runs):
    segments = {r["user_id"]: r for r in runs["first"]["user_segments"]}
    assert len(segments) == 37
    assert segments["u1-3"]["rfm_segment"] == "New Customers"
    assert (segments["new"]["rfm_segment"], segments["new"]["cluster_id"]) == ("Prospects", None)
    assert segments["u1-3"]["recency_days"] == 1.0
    assert segments["u1-3"]["cluster_id"] == segments["u1-4"]["cluster_id"]


def test_a_run_on_unchanged_profiles_writes_no_clusters(runs):
    assert runs["unchanged"]["versions"] == runs["first"]["versions"]


def test_cluster_ids_stay_with_their_users_after_a_new_model_and_an_interrupted_run(runs):
    ids = {like: number for number, (like, *_) in clusters(runs["first"]).items()}
    second = clusters(runs["second"])
    (new_id,) = set(second) - {1, 2, 3}
    assert second == {
        ids["pets"]: ("pets", 20, False),
        ids["shoes"]: ("shoes", 20, False),
        ids["books"]: ("books", 12, True),
        new_id: ("games", 12, False),
    }
    run = max(runs["second"]["clusterings"], key=lambda r: r["version"])
    assert (run["version"], run["previous_adjusted_rand"], run["share_users_unchanged"]) == (
        2,
        1.0,
        1.0,
    )
    assert run["previous_mean_jaccard"] == pytest.approx(2 / 3)


def test_the_id_of_a_retired_cluster_is_never_used_again(runs):
    second, third = clusters(runs["second"]), clusters(runs["third"])
    (new_id,) = set(third) - set(second)
    assert third[new_id] == ("books", 12, False)
    assert new_id == max(third)
    retired = {like for like, _, is_retired in third.values() if is_retired}
    assert retired == {"books", "shoes"}


def test_a_user_who_stays_in_an_audience_keeps_the_time_of_joining(runs):
    def buyers(state):
        members = [r for r in state["audiences"] if r["audience"] == "buyers"]
        return {r["user_id"]: r["added_ts"] for r in members}

    odd = range(1, 12, 2)
    assert buyers(runs["first"]) == {f"u{a}-{n}": DAYS[1] for a in range(3) for n in odd}
    stayed = {f"u{a}-{n}": DAYS[1] for a in (0, 2) for n in odd}
    joined = [(a, n) for a in (0, 2) for n in range(13, 20, 2)] + [(3, n) for n in odd]
    assert buyers(runs["second"]) == stayed | {f"u{a}-{n}": DAYS[2] for a, n in joined}


def test_lookalikes_are_an_audience_and_a_file_of_pseudonyms(runs, folder):
    alike = [r for r in runs["first"]["audiences"] if r["audience"] == "alike"]
    assert {r["user_id"] for r in alike} == {f"u0-{n}" for n in range(2, 12)}
    assert min(r["score"] for r in alike) > 0.5
    lines = (folder / "out" / "alike.csv").read_text().split()
    assert (lines[0], set(lines[1:])) == ("user_id", {r["user_id"] for r in alike})


def test_an_audience_removed_from_the_settings_leaves_the_table(runs):
    assert {r["audience"] for r in runs["unchanged"]["audiences"]} == {"buyers"}
    assert runs["third"]["audiences"] == []


def test_invalid_rules_and_seeds_are_refused_before_anything_is_written(store, tmp_path):
    (tmp_path / "none.csv").write_text("user_id\n")
    empty = f"{{alike: {{seeds: {tmp_path}/none.csv, n_users: 3}}}}"
    put(store, users(0, 5, 1, "m1"), users(1, 5, 1, "m1"))
    with pytest.raises(InputError, match="segments.audiences.x: no column n_o in"):
        segment(store, audiences="{x: n_o > 1}")
    with pytest.raises(InputError, match="segments.lookalikes.alike: found no user"):
        segment(store, lookalikes=empty)
    assert not any(store.exists(table) for table in TABLES.values())
    with pytest.raises(InputError, match="audiences and lookalikes both have alike"):
        segment(store, audiences="{alike: n_orders > 1}", lookalikes=empty)
