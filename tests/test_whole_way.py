"""The whole way on a tiny shop: locally, by the notebook, and on a real standalone cluster."""

import json
import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import matplotlib
import pyspark
import pytest
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import (
    build_behaviour,
    build_examples,
    evaluate_recommendations,
    fit_recommender,
    recommend_items,
    train_model,
)
from profile_lib.pipelines.run_all import RunState, run_stages, summarise
from profile_lib.tables import BEHAVIOUR, EVENTS, EXAMPLES, ITEMS, SESSIONS, USER_PROFILES, Table
from tests.agreement import agree
from tests.recommending import (
    assert_every_user_has_a_valid_list,
    assert_ineligible_items_are_unlisted,
    assert_only_changed_users_are_refreshed,
    assert_server_agrees_with_table,
    log_impressions_of_views,
)
from tests.worlds import profile_row, tiny_shop

ROOT = Path(__file__).parents[1]
FEW_CLICKS = 50
BRIEF = "-XX:TieredStopAtLevel=1"  # over before the second compiler pays
SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"


def empty_shop(store: Store) -> Store:
    """With all that is read of, and nothing in it."""
    for table in (EVENTS, ITEMS):
        store.replace(table, store.spark.createDataFrame([], table.schema))
    return store


def assert_whole(store: Store) -> None:
    """Every user with events has one profile, and what is counted twice agrees."""
    events, profiles = store.read(EVENTS), store.read(USER_PROFILES)
    users = events.select("user_id").distinct()
    assert profiles.count() == users.count()
    assert users.join(profiles, "user_id", "left_anti").isEmpty()
    in_sessions = store.read(SESSIONS).agg(F.sum("n_events")).first()[0]
    assert in_sessions == events.count()
    assert {r.split for r in store.read(EXAMPLES).select("split").distinct().collect()} == {
        "train",
        "validation",
        "test",
    }
    odd = profiles.where(~F.col("propensities")["buys"].between(0, 1) | (F.size("recent") == 0))
    assert odd.isEmpty()


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory) -> Iterator[tuple[Store, Settings]]:
    """A tiny shop as the notebook leaves it, by two ranks."""
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("shop")
        config = tiny_shop(folder, recommend={"min_clicks": FEW_CLICKS})
        patch.setenv("PROFILE_CONFIG", config)
        left = runpy.run_path(str(ROOT / "notebooks" / "01_from_clicks_to_profiles.py"))
        yield left["store"], left["settings"]


def test_the_notebook_walks_the_whole_way(shop):
    assert_whole(shop[0])


@pytest.fixture(scope="module")
def listing_shop(shop) -> tuple[Store, Settings, str]:
    """The same after the second notebook, and what that told."""
    store, settings = shop
    assert log_impressions_of_views(store, settings) > FEW_CLICKS
    with redirect_stdout(StringIO()) as told:
        runpy.run_path(str(ROOT / "notebooks" / "02_from_profiles_to_lists.py"))
    return store, settings, told.getvalue()


def test_the_second_notebook_lists_items_and_lists_follow_the_profiles(listing_shop):
    store, settings, told = listing_shop
    assert "left out" not in told  # it learned of what was shown
    assert "cluster 1: " in told
    assert_every_user_has_a_valid_list(store, settings)
    assert_server_agrees_with_table(store, settings)
    assert_only_changed_users_are_refreshed(store, settings)
    assert_ineligible_items_are_unlisted(store, settings)


def test_without_a_catalogue_or_with_profiles_by_another_model_nothing_is_recommended(
    listing_shop, store
):
    settings = listing_shop[1]
    with pytest.raises(InputError, match="items: no items, so there is nothing to recommend"):
        fit_recommender.run(empty_shop(store), settings)
    unfitted = with_values(settings, {"recommend.name": "unfitted"})
    with pytest.raises(InputError, match="unfitted: no model.json; .* a recommender fit_recommend"):
        recommend_items.run(store, unfitted)
    rows = store.spark.createDataFrame(
        [profile_row("ann", model_version="m")], USER_PROFILES.schema
    )
    store.replace(USER_PROFILES, rows)
    with pytest.raises(InputError, match="learned of profiles by .*, but user_profiles are by m,"):
        recommend_items.run(store, settings)


def test_ways_of_recommending_are_measured_beside_each_other(shop, tmp_path):
    store, settings = shop
    small = {
        "evaluate.report": str(tmp_path), "evaluate.methods.sasrec.epochs": 1,
        "evaluate.methods.als.rank": 4, "evaluate.methods.als.iterations": 2,
    }  # fmt: skip
    evaluate_recommendations.run(store, with_values(settings, small))
    report = json.loads((tmp_path / "recommendations.json").read_text())
    assert set(report["methods"]) == set(settings.evaluate.chosen)
    assert report["methods"]["item_knn"]["1"]["ndcg"] > report["methods"]["popularity"]["1"]["ndcg"]
    for way in report["methods"].values():
        assert 0 <= way["1"]["ndcg"] <= way["1"]["hit_rate"] <= 1


def test_the_summary_tells_of_the_tables_the_model_and_three_users(shop, capsys):
    summarise(*shop)
    told = capsys.readouterr().out
    assert "user_profiles" in told
    assert "gradient_boosting" in told
    assert told.count("Profile ") == 3


def test_stages_go_on_after_a_failure_and_a_training_from_its_last_checkpoint(
    tmp_path, capsys, monkeypatch
):
    settings = load_settings(tiny_shop(tmp_path))
    done: list[object] = []

    def work(*_: object, resume: bool = False) -> None:
        done.append("resumed" if resume else "begun")

    def fail(*_: object) -> None:
        raise InputError("the disk is full")

    def progress(fingerprint: str = "x") -> RunState:
        return RunState(settings.paths.work, fingerprint)

    stages = [("build_examples", work, None), ("train_model", work, None)]
    with pytest.raises(InputError, match="the disk is full"):
        run_stages(None, settings, progress(), [stages[0], ("train_model", fail, None)])
    assert (progress().done, progress("other settings").done) == (["build_examples"], [])
    monkeypatch.setattr(train_model, "can_resume", lambda given: given is settings)
    run_stages(None, settings, progress(), stages)
    assert done == ["begun", "resumed"]
    assert capsys.readouterr().out.count("done before, skipped") == 1
    assert not progress().done


def content(store: Store, table: Table) -> list[dict[str, object]]:
    """The rows, in order of their key."""
    rows = store.read(table).orderBy(*table.key).collect()
    return [row.asDict(recursive=True) for row in rows]


def test_a_job_run_twice_leaves_the_same_table(shop):
    store, settings = shop
    last = store.read(BEHAVIOUR).agg(F.to_date(F.max("cutoff_ts"))).first()[0]
    jobs = {BEHAVIOUR: build_behaviour, EXAMPLES: build_examples}
    for table, job in jobs.items():
        before = content(store, table)
        for day in (None, last):
            job.run(store, settings, day)
            assert agree(content(store, table), before), (table.name, day)


@pytest.fixture
def cluster(tmp_path) -> Iterator[str]:
    """A standalone master and two workers of one core each; their URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"spark://127.0.0.1:{port}"
    master = "org.apache.spark.deploy.master.Master"
    worker = "org.apache.spark.deploy.worker.Worker"
    local = ["--host", "127.0.0.1", "--webui-port", "0"]
    started = [start(tmp_path / "master.log", master, *local, "--port", str(port))]
    try:
        wait_for(tmp_path / "master.log", "New state: ALIVE")
        for name in ("a", "b"):
            log = tmp_path / f"worker_{name}.log"
            sizes = ["--cores", "1", "--memory", "2g", "--work-dir", str(tmp_path / name)]
            started.append(start(log, worker, *local, *sizes, url))
            wait_for(log, "Successfully registered with master")
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=30)


def start(log: Path, *command: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    with log.open("wb") as out:
        return subprocess.Popen(
            [str(SPARK_CLASS), *command], stdout=out, stderr=subprocess.STDOUT, env=environment
        )


def wait_for(log: Path, line: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while line not in log.read_text(encoding="utf-8", errors="replace"):
        assert time.monotonic() < until, (
            f"{log.name} never said {line!r}: {log.read_text()[-2000:]}"
        )
        time.sleep(0.2)


def test_the_whole_way_runs_by_spark_submit_on_a_standalone_cluster(spark, cluster, tmp_path):
    subprocess.run(["make", "package"], cwd=ROOT, check=True, capture_output=True)
    bind = "127.0.0.1"
    conf = {
        "spark.driver.host": bind,
        "spark.driver.bindAddress": bind,
        "spark.driver.memory": "1g",
        "spark.executor.memory": "1g",
        "spark.driver.extraJavaOptions": BRIEF,
        "spark.executor.extraJavaOptions": BRIEF,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    command = [
        str(Path(sys.executable).parent / "spark-submit"), "--master", cluster,
        "--py-files", "dist/profile_lib.zip",
        *[part for key, value in conf.items() for part in ("--conf", f"{key}={value}")],
        "jobs/run_all.py", "--config", tiny_shop(tmp_path),
    ]  # fmt: skip
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": bind}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("Profile ") == 3
    assert len(list(tmp_path.glob("[ab]/app-*/*/stdout"))) == 2  # both workers ran executors
    assert_whole(Store(spark, load_settings(str(tmp_path / "shop.yaml")).paths.tables))
