"""The core jobs run by spark-submit on a standalone cluster."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from tests.end_to_end.consistency import assert_tables_agree
from tests.worlds import tiny_shop

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
ADDRESS = "127.0.0.1"
FIRST_COMPILER = "-XX:TieredStopAtLevel=1"  # a short run ends before the second compiler pays off


@pytest.fixture
def cluster(tmp_path) -> Iterator[str]:
    """Start a standalone master and two workers of one core each; yield the master's URL."""
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port = free.getsockname()[1]
    url = f"spark://{ADDRESS}:{port}"
    local = ["--host", ADDRESS, "--webui-port", "0"]
    master_log = tmp_path / "master.log"
    processes = [start_process(master_log, "master.Master", *local, "--port", str(port))]
    try:
        wait_for_line(master_log, "New state: ALIVE")
        for name in ("a", "b"):
            log = tmp_path / f"worker_{name}.log"
            sizes = ["--cores", "1", "--memory", "2g", "--work-dir", str(tmp_path / name)]
            processes.append(start_process(log, "worker.Worker", *local, *sizes, url))
            wait_for_line(log, "Successfully registered with master")
        yield url
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


def start_process(log: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SPARK_LOCAL_IP": ADDRESS, "PYSPARK_PYTHON": sys.executable}
    command = [str(SPARK_CLASS), f"org.apache.spark.deploy.{name}", *arguments]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)


def wait_for_line(log: Path, line: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while line not in (text := log.read_text(encoding="utf-8", errors="replace")):
        assert time.monotonic() < end, f"{log.name}: no line {line!r}: {text[-2000:]}"
        time.sleep(0.2)


def test_the_core_jobs_run_by_spark_submit_on_a_standalone_cluster(spark, cluster, tmp_path):
    subprocess.run(["make", "package"], cwd=ROOT, check=True, capture_output=True)
    conf = {
        "spark.driver.host": ADDRESS,
        "spark.driver.bindAddress": ADDRESS,
        "spark.driver.memory": "1g",
        "spark.executor.memory": "1g",
        "spark.driver.extraJavaOptions": FIRST_COMPILER,
        "spark.executor.extraJavaOptions": FIRST_COMPILER,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    command = [
        str(Path(sys.executable).parent / "spark-submit"), "--master", cluster,
        "--py-files", "dist/profile_lib.zip",
        *[part for key, value in conf.items() for part in ("--conf", f"{key}={value}")],
        "jobs/run_all.py", "--config", tiny_shop(tmp_path),
    ]  # fmt: skip
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": ADDRESS}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("Profile ") == 3
    assert len(list(tmp_path.glob("[ab]/app-*/*/stdout"))) == 2  # both workers ran executors
    tables = load_settings(str(tmp_path / "shop.yaml")).paths.tables
    assert_tables_agree(Store(spark, tables))
