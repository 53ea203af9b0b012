"""Share one Spark session, small frames and an empty store among all tests."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from pyspark.sql import DataFrame, SparkSession

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.spark.session import start_spark

CONF = Path(__file__).parents[1] / "conf"
Rows = Callable[..., DataFrame]

# assertDataFrameEqual imports pandas-on-Spark, which sets a variable that makes pyarrow drop time
# zones. Import it here, and take the variable back, so that no test depends on the order of tests.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("PYARROW_IGNORE_TIMEZONE", "1")
    importlib.import_module("pyspark.pandas")

# A deadline would fail tests on a busy machine, whatever they check.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of the whole suite."""
    session = start_spark(load_settings(str(CONF / "dev.yaml")).spark, "tests")
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
