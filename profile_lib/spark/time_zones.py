"""Find the time zones that Spark knows."""

from zoneinfo import available_timezones

from pyspark.sql import SparkSession

from profile_lib.errors import InputError


def known_time_zones(spark: SparkSession) -> frozenset[str]:
    """Return the IANA names that Python and the JVM both know.

    Their databases differ in age. Spark fails on a row whose zone the JVM does not know.
    """
    jvm = spark._jvm
    names = jvm.java.lang.String.join(",", jvm.java.time.ZoneId.getAvailableZoneIds())  # type: ignore[union-attr]
    return frozenset(available_timezones() & set(names.split(",")))


def check_time_zone(spark: SparkSession, name: str, label: str) -> None:
    """Raise InputError, which begins with `label`, unless Spark knows a zone."""
    if name not in known_time_zones(spark):
        version = spark._jvm.java.lang.System.getProperty("java.version")  # type: ignore[union-attr]
        raise InputError(
            f"{label}: Java {version} does not know the time zone {name}; wanted one that it "
            "knows, such as that of a near city, or a newer Java"
        )
