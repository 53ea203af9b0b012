"""Share one Spark session, small frames and an empty store among all tests."""

import importlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from pyspark.sql import DataFrame, SparkSession

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.spark.jvm import JAVA_OPTIONS
from profile_lib.spark.session import start_spark

CONF = Path(__file__).parents[1] / "conf"
# Unlike a short job, the suite runs long enough for the JVM's second compiler to pay off.
BOTH_COMPILERS = "-XX:+UseParallelGC -XX:ReservedCodeCacheSize=512m"
# Fixtures of the whole suite that take half a minute or more. All tests that use one of them run in
# one process, which builds it once.
SLOW_FIXTURES = ("notebook_shop", "trained_model", "refreshed_folder")
LONG_FILES = ("test_chaos.py", "test_privacy.py", "test_cluster.py")  # take minutes in one process
Rows = Callable[..., DataFrame]

# assertDataFrameEqual imports pandas-on-Spark, which sets a variable that makes pyarrow drop time
# zones. Import it here, and take the variable back, so that no test depends on the order of tests.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("PYARROW_IGNORE_TIMEZONE", "1")
    importlib.import_module("pyspark.pandas")

# A deadline would fail tests on a busy machine, whatever they check.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Run the tests of a slow fixture in one process, and those of each other file in one.

    Those that take longest come first, so that no process waits for them at the end.
    """

    def slow_fixture(item: pytest.Function) -> str | None:
        return next((name for name in SLOW_FIXTURES if name in item.fixturenames), None)

    for item in items:
        item.add_marker(
            pytest.mark.xdist_group(slow_fixture(item) or item.nodeid.partition("::")[0])
        )
    items.sort(key=lambda item: slow_fixture(item) is None and item.path.name not in LONG_FILES)


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture the project's messages from INFO on, whatever libraries changed before."""
    caplog.set_level(logging.INFO, "profile_lib")
    return caplog


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of the whole suite."""
    settings = load_settings(str(CONF / "dev.yaml")).spark
    conf = settings.conf | {JAVA_OPTIONS: BOTH_COMPILERS}
    session = start_spark(settings.model_copy(update={"conf": conf}), "tests")
    yield session
    session.stop()


@pytest.fixture
def rows(spark: SparkSession) -> Rows:
    """Make a small frame: `rows("user_id string, n long", ("ann", 1), ("bob", 2))`."""

    def make(schema: str, *values: tuple[object, ...]) -> DataFrame:
        return spark.createDataFrame(list(values), schema)

    return make


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    """An empty store for one test."""
    return Store(spark, str(tmp_path / "tables"))
