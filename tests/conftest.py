"""One Spark session for the whole suite, and frames written in line."""

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

# A deadline fails tests on a busy machine, never because of what they check.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_spark(load_settings(str(CONF / "dev.yaml")).spark, "tests")
    yield session
    session.stop()


@pytest.fixture
def rows(spark: SparkSession) -> Rows:
    """A small frame: `rows("user_id string, n long", ("ann", 1), ("bob", 2))`."""

    def make(schema: str, *values: tuple[object, ...]) -> DataFrame:
        return spark.createDataFrame(list(values), schema)

    return make


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    """An empty store of its own."""
    return Store(spark, str(tmp_path / "tables"))
