"""Check that a zone which Spark would refuse on a row is refused at the start."""

import pytest

from profile_lib.errors import InputError
from profile_lib.spark.time_zones import check_time_zone, known_time_zones


def test_spark_converts_a_time_to_each_known_zone(spark):
    zones = sorted(known_time_zones(spark))
    times = spark.createDataFrame([(zone,) for zone in zones], "zone string").selectExpr(
        "from_utc_timestamp(timestamp '2026-01-20 12:00:00', zone) AS local"
    )
    assert times.where("local IS NOT NULL").count() == len(zones) > 500


def test_a_zone_that_only_python_knows_is_refused(spark):
    check_time_zone(spark, "Europe/Paris", "behaviour.time_zone")
    with pytest.raises(
        InputError,
        match=r"^behaviour.time_zone: Java [\d.]+ does not know the time zone ROC; wanted",
    ):
        check_time_zone(spark, "ROC", "behaviour.time_zone")
