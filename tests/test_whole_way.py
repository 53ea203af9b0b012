"""The whole way on a tiny shop: locally, by the notebook, and on a real standalone cluster."""

import io
import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib
import pyspark
import pytest
from pyspark.sql import functions as F

from jobs import build_behaviour, build_examples, compress_model, refresh_profiles
from jobs.run_all import Progress, run_stages, stages_for, summarise
from profile_lib.config import Settings, load_settings, with_values
from profile_lib.errors import InputError
from profile_lib.store import Store
from profile_lib.tables import BEHAVIOUR, EVENTS, EXAMPLES, SESSIONS, USER_PROFILES, Table
from tests.agreement import agree
from tests.worlds import tiny_shop

ROOT = Path(__file__).parents[1]
SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"


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
def shop(spark, tmp_path_factory) -> tuple[Store, Settings, str]:
    """A tiny shop after the whole way, which failed once on the way, and what it printed."""
    settings = load_settings(tiny_shop(tmp_path_factory.mktemp("shop")))
    store = Store(spark, settings.paths.tables)

    def fail(*_: object) -> None:
        raise InputError("the disk is full")

    stages = stages_for(settings)
    broken = [*stages[:4], ("build_examples", fail, None)]
    with pytest.raises(InputError, match="the disk is full"):
        run_stages(store, settings, Progress(settings.paths.work, "x"), broken)
    told = io.StringIO()
    with redirect_stdout(told):
        run_stages(store, settings, Progress(settings.paths.work, "x"), stages)
        summarise(store, settings)
    return store, settings, told.getvalue()


def test_the_whole_way_runs_locally_goes_on_after_a_failure_and_tells_a_summary(shop):
    store, settings, told = shop
    assert told.count("done before, skipped") == 4
    assert_whole(store)
    assert told.count("Profile ") == 3
    assert "user_profiles" in told
    assert not Progress(settings.paths.work, "x").done


def content(store: Store, table: Table) -> list[dict[str, object]]:
    """The rows, in order of their key."""
    rows = store.read(table).orderBy(*table.key).collect()
    return [row.asDict(recursive=True) for row in rows]


@pytest.mark.parametrize("by_day", [False, True], ids=["all", "a day"])
def test_a_job_run_twice_leaves_the_same_table(shop, by_day):
    store, settings, _ = shop
    last = store.read(BEHAVIOUR).agg(F.to_date(F.max("cutoff_ts"))).first()[0]
    jobs = {BEHAVIOUR: build_behaviour, EXAMPLES: build_examples, USER_PROFILES: refresh_profiles}
    for table, job in jobs.items():
        before = content(store, table)
        job.run(store, settings, last if by_day else None)
        assert agree(content(store, table), before), table.name


def test_a_student_and_a_pruned_model_refresh_the_profiles_as_well(shop):
    store, settings, _ = shop
    small = {"student_layers": 1, "pruned_share": 0.25, "importance_rows": 100, "epochs": 1,
             "speed_rows": 50, "speed_repeats": 1}  # fmt: skip
    changes = {f"compress.{key}": value for key, value in small.items()}
    given = with_values(settings, {**changes, "training.ranks": 1})
    compress_model.run(store, given, None)
    for name in (given.compress.student_name, given.compress.pruned_name):
        refresh_profiles.run(store, with_values(given, {"training.name": name}), None)
        assert_whole(store)
        versions = store.read(USER_PROFILES).select("model_version").distinct().collect()
        assert [row[0].startswith(f"{name}-") for row in versions] == [True]


def test_the_notebook_walks_the_same_way(spark, tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.setenv("PROFILE_CONFIG", tiny_shop(tmp_path))
    left = runpy.run_path(str(ROOT / "notebooks" / "01_from_clicks_to_profiles.py"))
    assert_whole(left["store"])


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
