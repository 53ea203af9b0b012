"""Check how units and patterns of times are recognised, as Spark reads them."""

import pandas as pd
import pytest
from pyspark.sql import functions as F

from profile_lib.events.drafting.times import DAY, ISO, PATTERNS, find_clock, find_times
from profile_lib.events.mapping import Times
from profile_lib.events.values import to_time
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf


@pytest.mark.parametrize(
    ("values", "unit", "pattern", "certainty"),
    [
        (["1709287200", "1709287201.5"], "s", ISO, 1.0),
        (["1709287200123"], "ms", ISO, 1.0),
        (["1709287200123456"], "us", ISO, 1.0),
        (["1709287200123456789"], "ns", ISO, 1.0),
        (["2024-03-01 10:00:00", "2024-03-01T10:00:00.5"], None, ISO, 1.0),
        (["2024-03-01T10:00:00Z", "1709287200123"], "ms", ISO, 1.0),
        (["31.12.2024 08:26", "01.12.2024 08:26"], None, "dd.MM.yyyy HH:mm", 1.0),
        (["01.12.2024 08:26"], None, "dd.MM.yyyy HH:mm", 0.9),
        (["12/31/2010 8:26", "1/2/2011 18:26"], None, "M/d/yyyy H:mm", 1.0),
        (["03/04/2024 10:00:00"], None, "dd/MM/yyyy HH:mm:ss", 0.5),
        (["3/14/2024 1:05 PM"], None, "M/d/yyyy h:mm a", 1.0),
        (["2014-12-06 02"], None, "yyyy-MM-dd HH", 1.0),
        (["20240301T101010"], None, "yyyyMMdd'T'HHmmss", 1.0),
        (["01-Mar-2024 09:05:00"], None, "dd-MMM-yyyy HH:mm:ss", 1.0),
    ],
)
def test_a_unit_or_pattern_is_recognised_that_a_mapping_reads(
    spark, values, unit, pattern, certainty
):
    found = find_times(pd.Series(values))
    assert (found.unit, found.pattern, found.certainty, found.share) == (
        unit, pattern, certainty, 1.0,
    )  # fmt: skip
    frame = spark.createDataFrame([(value,) for value in values], "t string")
    times = Times(unit=found.unit, format=found.pattern or None)
    with session_conf(spark, LENIENT_CONF):
        read = frame.select(to_time(F.col("t"), frame.schema["t"].dataType, times).alias("t"))
        assert read.where("t IS NULL OR year(t) NOT BETWEEN 2000 AND 2030").count() == 0


@pytest.mark.parametrize("values", [["u1", "u2"], ["829", "1011"], ["214536502"], ["12:30"], []])
def test_other_values_are_no_times(values):
    assert find_times(pd.Series(values, dtype=object)) is None


def test_days_alone_are_recognised():
    assert find_times(pd.Series(["2024-03-01", "2024-03-02"])).precision == DAY
    assert find_times(pd.Series(["20240301", "20240302"])).precision == DAY
    assert find_times(pd.Series(["2024-03-01 10:00"])).precision is None


def test_a_zone_is_known_if_values_name_it_or_count_from_1970():
    has_zone = [
        find_times(pd.Series([value])).has_zone
        for value in ("2024-03-01T10:00:00+01:00", "1709287200", "2024-03-01 10:00:00")
    ]
    assert has_zone == [True, True, False]


@pytest.mark.parametrize(
    ("values", "pattern"),
    [(["09:30", "10:15"], "HH:mm"), (["9:30:15", "10:00:00"], "H:mm:ss"), (["9.30"], None)],
)
def test_times_of_day_have_a_pattern(values, pattern):
    assert find_clock(pd.Series(values)) == pattern


def test_no_two_patterns_are_equal():
    assert len(set(PATTERNS)) == len(PATTERNS)
