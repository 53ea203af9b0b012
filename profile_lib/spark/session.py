"""Start or join a Spark session; cache frames and set its configuration for a while."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from profile_lib.config.spark import SparkSettings
from profile_lib.errors import InputError
from profile_lib.spark.jvm import start_jvm


def start_spark(settings: SparkSettings, app: str) -> SparkSession:
    """Return a session with Delta, in UTC, with these settings.

    An active session (Databricks, a notebook) is returned as it is, only set to UTC: the platform
    supplies its jars and extensions. Under spark-submit, the submitter's configuration takes
    precedence over `settings`.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        active.conf.set("spark.sql.session.timeZone", "UTC")
        return active
    builder = SparkSession.builder.appName(app)
    submitted_keys: set[str] = set()
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # set by spark-submit
        submitted_keys, conf = _submitted_conf_keys(), dict(settings.conf)
    else:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers run this environment
        conf = start_jvm({"spark.master": settings.master, **settings.conf})
    for key, value in {**conf, "spark.sql.session.timeZone": "UTC"}.items():
        if key not in submitted_keys:
            builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel(settings.log_level)
    return spark


@contextmanager
def cached(frame: DataFrame) -> Iterator[DataFrame]:
    """Cache the frame on disk while the body runs."""
    frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield frame
    finally:
        frame.unpersist()


@contextmanager
def session_conf(spark: SparkSession, values: Mapping[str, object]) -> Iterator[None]:
    """Set values of the session's configuration while the body runs."""
    previous = {key: spark.conf.get(key, None) for key in values}
    for key, value in values.items():
        spark.conf.set(key, str(value))
    try:
        yield
    finally:
        for key, value in previous.items():
            if value is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, value)


def worker_input_error(error: PySparkException) -> str | None:
    """Return the message of the InputError that ended a Python worker; None for other errors.

    Spark's error contains the worker's traceback, and the traceback ends with the message.
    """
    match = re.search(rf"^.*\b{InputError.__name__}: (.*)$", str(error), re.MULTILINE)
    return None if match is None else match[1]


def _submitted_conf_keys() -> set[str]:
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # joins spark-submit's JVM, whose properties SparkConf reads
    return {key for key, _ in SparkConf().getAll()}
