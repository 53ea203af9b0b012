"""Starts Spark, or joins the session that is there: laptop, spark-submit or Databricks."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.spark import SparkSettings
from profile_lib.errors import InputError
from profile_lib.spark.jvm import start_jvm

HASH_LEVELS = 1_000_000  # values that a draw may have


def start_spark(settings: SparkSettings, app: str) -> SparkSession:
    """A session with Delta, UTC and the given settings.

    Where a session is active already (Databricks, a notebook) it is used as it is: jars and
    extensions are the platform's. Under spark-submit, what the submitter set wins over conf.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        active.conf.set("spark.sql.session.timeZone", "UTC")
        return active
    builder = SparkSession.builder.appName(app)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    given = _submitted_conf() if submitted else set()
    if submitted:
        wanted = dict(settings.conf)
    else:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers run this environment
        wanted = start_jvm({"spark.master": settings.master, **settings.conf})
    for key, value in {**wanted, "spark.sql.session.timeZone": "UTC"}.items():
        if key not in given:
            builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel(settings.log_level)
    return spark


def hash_uniform(*columns: Column | str) -> Column:
    """Column: a number from 0 to below 1 for each row, the same for the same values, by hash."""
    return F.pmod(F.xxhash64(*columns), F.lit(HASH_LEVELS)) / HASH_LEVELS


@contextmanager
def cached(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame, computed once and kept on disk while the body runs; it may be read often."""
    frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield frame
    finally:
        frame.unpersist()


@contextmanager
def session_conf(spark: SparkSession, values: Mapping[str, object]) -> Iterator[None]:
    """Other values of the session's conf while the body runs."""
    before = {key: spark.conf.get(key, None) for key in values}
    for key, value in values.items():
        spark.conf.set(key, str(value))
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, value)


def worker_input_error(error: PySparkException) -> str | None:
    """What an InputError said that a Python worker ended with, None where there was none.

    Spark tells it as the last line of a traceback within its own error.
    """
    said = re.search(rf"^.*\b{InputError.__name__}: (.*)$", str(error), re.MULTILINE)
    return None if said is None else said[1]


def _submitted_conf() -> set[str]:
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # joins spark-submit's JVM, whose properties SparkConf reads
    return {key for key, _ in SparkConf().getAll()}
