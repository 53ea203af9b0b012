"""Check how times and numbers of any type are read, and that all others are null."""

import decimal
from datetime import date, datetime

import pytest
from pyspark.sql import functions as F

from profile_lib.events.mapping import Times
from profile_lib.events.raw_ids import to_text
from profile_lib.events.values import to_number, to_time
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf

ISO = {
    "2024-03-01": "2024-03-01 00:00:00",
    " 2024-03-01 ": "2024-03-01 00:00:00",
    "2024-03-01T10:00": "2024-03-01 10:00:00",
    "2024-03-01 1:00": "2024-03-01 01:00:00",
    "2024-03-01T10:00:00Z": "2024-03-01 10:00:00",
    "2024-03-01t10:00:00z": "2024-03-01 10:00:00",
    "2024-03-01 10:00:00 UTC": "2024-03-01 10:00:00",
    "\ufeff2024-03-01T10:00Z\t": "2024-03-01 10:00:00",
    "2024-03-01 9:30 UTC": "2024-03-01 09:30:00",
    "2024-03-01T10:00+01:00": "2024-03-01 09:00:00",
    "2024-03-01T10:00-0330": "2024-03-01 13:30:00",
    "2024-03-01T10:00:00+05:30": "2024-03-01 04:30:00",
    "2024-03-01T10:00:00+0530": "2024-03-01 04:30:00",
    "2024-03-01 10:00:00 -03": "2024-03-01 13:00:00",
    "2024-03-01 10:00:00.123456789": "2024-03-01 10:00:00.123456",
    "2024-03-01 10:00:00,5": "2024-03-01 10:00:00.5",
}
NO_TIMES = [
    "12:30", "2016", "now", "today", "epoch", "yesterday", "2016-02-30", "2024-3-1", "20240301",
    "2024-03-01T", "2024-03-01T10", "2024-03-01T24:00:00", "2024-03-01T10:00:60Z", "01.03.2024",
    "2024-03-01T10:00:00+19:00", "0000-01-01", "+2024-03-01", "1709287260", "", "NaN",
]  # fmt: skip
BERLIN = {
    "2024-03-31 01:59:59": "2024-03-31 00:59:59",
    "2024-03-31 02:30:00": "2024-03-31 01:30:00",  # skipped by the clocks
    "2024-03-31 03:00:00": "2024-03-31 01:00:00",
    "2024-10-27 02:30:00": "2024-10-27 00:30:00",  # twice on the clocks: the first
    "2024-10-27 03:00:00": "2024-10-27 02:00:00",
    "2024-03-01": "2024-02-29 23:00:00",
    "2024-03-01T10:00:00Z": "2024-03-01 10:00:00",
    "2024-03-01T10:00Z": "2024-03-01 10:00:00",
    "2024-03-01T10:00:00+05:30": "2024-03-01 04:30:00",
}
SECONDS = {
    "1709287260": "2024-03-01 10:01:00",
    "1709287260.5": "2024-03-01 10:01:00.5",
    "1.70928726E9": "2024-03-01 10:01:00",
    "-1": "1969-12-31 23:59:59",
    "2024-03-01T10:00:00Z": "2024-03-01 10:00:00",
    "NaN": None,
    "Infinity": None,
    "1e30": None,
    "4611686018427387904": None,
    "99999999999999999999999": None,
    "253402300800": None,
}
NANOS = {
    "1709287260123456000": "2024-03-01 10:01:00.123456",
    "9223372036854775807": "2262-04-11 23:47:16.854776",
}
GERMAN = {
    "01.03.2024 10:30": "2024-03-01 10:30:00",
    "2024-03-01 10:30": None,
    "32.01.2024 1:00": None,
}
OFFSETS = {"01/Mar/2024:10:30:00 +0200": "2024-03-01 08:30:00", "01/Mar/2024:10:30:00": None}
TEXTS = [
    (Times(), ISO | dict.fromkeys(NO_TIMES)),
    (Times(time_zone="Europe/Berlin"), BERLIN),
    (Times(unit="s"), SECONDS),
    (Times(unit="ms"), {"1709287260123": "2024-03-01 10:01:00.123"}),
    (Times(unit="us"), {"1709287260123456": "2024-03-01 10:01:00.123456"}),
    (Times(unit="ns"), NANOS),
    (Times(format="dd.MM.yyyy HH:mm"), GERMAN),
    (
        Times(format="dd.MM.yyyy HH:mm", time_zone="America/New_York"),
        {"01.07.2024 10:30": "2024-07-01 14:30:00"},
    ),
    (Times(format="dd/MMM/yyyy:HH:mm:ss Z", time_zone="Asia/Tokyo"), OFFSETS),
]  # fmt: skip


@pytest.mark.parametrize(("times", "texts"), TEXTS, ids=lambda x: str(x)[:45])
def test_a_text_is_a_time_as_the_source_writes_them_or_null(spark, times, texts):
    frame = spark.createDataFrame([(text,) for text in texts], "value string")
    assert read_times(frame, times) == list(texts.values())


def read_times(frame, times: Times) -> list[str | None]:
    """Return the times of a column as texts in UTC."""
    with session_conf(frame.sparkSession, LENIENT_CONF):
        time = to_time(F.col("value"), frame.schema["value"].dataType, times)
        return [text for (text,) in frame.select(time.cast("string")).collect()]


SUMMER, EXACT = datetime(2024, 7, 1, 12), decimal.Decimal("1709287260.125")
TYPED = [
    ("bigint", 1_709_287_260, Times(unit="s"), "2024-03-01 10:01:00"),
    ("bigint", 2**62, Times(unit="s"), None),
    ("bigint", 1_709_287_260, Times(), None),
    ("double", 1_709_287_260.25, Times(unit="s"), "2024-03-01 10:01:00.25"),
    ("double", float("nan"), Times(unit="s"), None),
    ("decimal(20,3)", EXACT, Times(unit="s"), "2024-03-01 10:01:00.125"),
    ("boolean", True, Times(unit="s"), None),
    ("date", date(2024, 7, 1), Times(time_zone="Europe/Berlin"), "2024-06-30 22:00:00"),
    ("timestamp_ntz", SUMMER, Times(time_zone="Europe/Berlin"), "2024-07-01 10:00:00"),
    ("timestamp", SUMMER, Times(time_zone="Europe/Berlin"), "2024-07-01 12:00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "value", "times", "time"), TYPED, ids=str)
def test_a_value_of_another_type_is_a_time_by_its_type(spark, sql_type, value, times, time):
    frame = spark.createDataFrame([(value,)], f"value {sql_type}")
    assert read_times(frame, times) == [time]


POINT = {
    "1": 1.0, "1.5": 1.5, "\t7\ufeff": 7.0,
    " -7 ": -7.0, "+5": 5.0, ".5": 0.5, "5.": 5.0, "1e3": 1_000.0,
    "1.5E-3": 0.0015, "1,299.00": 1_299.0, "1,234,567": 1_234_567.0, "1 299": 1_299.0,
    "1\u00a0299.5": 1_299.5, "1\u202f299": 1_299.0, "1'299.5": 1_299.5, "1’299": 1_299.0,
    "100 200": 100_200.0,
    "1.299": 1.299, "12.50": 12.5, "0." + "0" * 400 + "1": 0.0,
}  # fmt: skip
COMMA = {
    "1": 1.0, "1,5": 1.5, "12,50": 12.5, "1.299,00": 1_299.0, "1.234.567,89": 1_234_567.89,
    "1.299": 1_299.0, "1 299,5": 1_299.5, ",5": 0.5,
}  # fmt: skip
NO_NUMBERS = [
    "abc", "", "NaN", "Infinity", "1e400", "9" * 400, "1d", "0x10", "१", "1_000", "5%", "€5",
    "--5", "1e", "e5", "1,2,3", "12,34,567", "1 2", "true", "1.2.3", "00 125", "1'299 500",
]  # fmt: skip
COMMAS = ["12,50", "1,5", "1.299,00", "0,500", "00,125", "1,299,500 000"]  # no numbers with a point
POINTS = ["12.50", "1.5", "1,299.00", "0.999"]  # no numbers with a comma


@pytest.mark.parametrize(
    ("sign", "texts"),
    [
        (".", POINT | dict.fromkeys([*NO_NUMBERS, *COMMAS])),
        (",", COMMA | dict.fromkeys([*NO_NUMBERS, *POINTS])),
    ],
    ids=["point", "comma"],
)
def test_a_text_is_a_number_by_the_decimal_sign_or_null(spark, sign, texts):
    frame = spark.createDataFrame([(text,) for text in texts], "value string")
    with session_conf(spark, LENIENT_CONF):
        number = to_number(F.col("value"), frame.schema["value"].dataType, sign)
        found = [value for (value,) in frame.select(number).collect()]
    assert dict(zip(texts, found, strict=True)) == texts


def test_numbers_of_other_types_are_doubles_unless_they_are_no_numbers(spark):
    values = {
        "bigint": 7, "double": 1.5, "decimal(20,2)": decimal.Decimal("1.25"), "boolean": True,
        "float": float("inf"), "string": None,
    }  # fmt: skip
    columns = [f"c{n} {sql_type}" for n, sql_type in enumerate(values)]
    frame = spark.createDataFrame([tuple(values.values())], ", ".join(columns))
    numbers = [to_number(F.col(f.name), f.dataType, ",") for f in frame.schema]
    with session_conf(spark, LENIENT_CONF):
        assert tuple(frame.select(*numbers).first()) == (7.0, 1.5, 1.25, None, None, None)


WRITTEN = [
    ("double", 17850.0, "17850"), ("double", 17850000.0, "17850000"), ("double", -0.0, "0"),
    ("double", 1e17, "100000000000000000"), ("double", 17850.25, "17850.25"),
    ("double", 1e300, "1.0E300"), ("double", float("nan"), None), ("double", None, None),
    ("double", float("inf"), "Infinity"), ("float", 17850.0, "17850"), ("float", 0.1, "0.1"),
    ("bigint", 17850, "17850"), ("string", "17850.0", "17850.0"),
    ("decimal(9,2)", decimal.Decimal("1.50"), "1.50"), ("boolean", True, "true"),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "value", "text"), WRITTEN, ids=str)
def test_a_whole_number_of_any_type_is_a_text_of_its_digits(spark, sql_type, value, text):
    frame = spark.createDataFrame([(value,)], f"value {sql_type}")
    with session_conf(spark, LENIENT_CONF):
        found = frame.select(to_text(F.col("value"), frame.schema["value"].dataType)).first()
    assert found == (text,)
