"""Convert times and numbers of any type; unreadable ones become null."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.events.mapping import Times
from profile_lib.events.raw_ids import trim_text

UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ISO_TIME = (
    r"^\d{4}-\d{2}-\d{2}([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?"
    r"( ?(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?))?)?$"
)
OFFSET = r"(Z|UTC|GMT|[T ]\d{1,2}:\S* ?[+-]\d{2}(:?\d{2})?)$"
# A time without seconds before its offset, such as 2024-03-01T10:00Z, which Spark does not read.
WITHOUT_SECONDS = r"^(.{10}[T ]\d{1,2}:\d{2})( ?(?:Z|UTC|GMT|[+-]))"
ZONE_LETTERS = "VzOXxZ"  # letters of a pattern that stand for a zone or an offset
FIRST_MICROS, LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 to 9999
GROUP_SIGNS = r"\u00a0\u202f\u2009 '’"  # between groups of three digits, beside the other sign


def to_time(value: Column, data_type: T.DataType, times: Times) -> Column:
    """Return times in UTC; null outside of the years 1 to 9999.

    A number, or a text of digits, counts `times.unit` since 1970; without a unit it cannot be read.
    Other texts follow `times.format`, or are ISO 8601. A time without an offset is in
    `times.time_zone`.
    """
    time = _read_time(value, data_type, times)
    return F.when(F.unix_micros(time).between(FIRST_MICROS, LAST_MICROS), time)


def _read_time(value: Column, data_type: T.DataType, times: Times) -> Column:
    if isinstance(data_type, T.TimestampType):
        return value
    if isinstance(data_type, (T.TimestampNTZType, T.DateType)):
        return _from_zone(value.cast("timestamp"), times.time_zone)
    text = trim_text(value.cast("string"))
    if times.format is None:
        text = F.upper(text)  # RFC 3339 allows t and z
    written = _parse_text(text, times)
    if times.unit is None:
        return written
    number = text.cast("decimal(38, 9)")
    micros = (number * 10**6 / UNITS_PER_SECOND[times.unit]).cast("decimal(38, 0)")
    # A long would overflow into another time.
    in_range = F.when(micros.between(FIRST_MICROS, LAST_MICROS), micros.cast("long"))
    return F.coalesce(F.timestamp_micros(in_range), written)


def _parse_text(text: Column, times: Times) -> Column:
    if times.format is not None:
        parsed = F.try_to_timestamp(text, F.lit(times.format))
        has_zone = any(letter in ZONE_LETTERS for letter in _unquoted(times.format))
        return parsed if has_zone else _from_zone(parsed, times.time_zone)
    complete = F.regexp_replace(F.translate(text, ",", "."), WITHOUT_SECONDS, "$1:00$2")
    iso = F.when(text.rlike(ISO_TIME), complete).cast("timestamp")
    if times.time_zone == "UTC":
        return iso
    return F.when(text.rlike(OFFSET), iso).otherwise(_from_zone(iso, times.time_zone))


def _from_zone(time: Column, zone: str) -> Column:
    return time if zone == "UTC" else F.to_utc_timestamp(time, zone)


def _unquoted(pattern: str) -> str:
    """Return the letters of a pattern without its quoted texts.

    >>> _unquoted("dd'T'HH")
    'ddHH'
    """
    return "".join(pattern.split("'")[::2])


def to_number(value: Column, data_type: T.DataType, decimal_sign: str) -> Column:
    """Return the number, as a double, of values of any type.

    A text may group its digits by threes, by the other sign, a space or an apostrophe: with the
    decimal sign `.`, `1,299.00` is 1299, but `12,50` and `0,500` cannot be read. NaN and infinity
    are null.
    """
    if isinstance(data_type, T.NumericType):
        number = value.cast("double")
        return F.when(~F.isnan(number) & (F.abs(number) != float("inf")), number)
    other = "," if decimal_sign == "." else "."
    text = trim_text(F.translate(value.cast("string"), "\u00a0\u202f\u2009", "   "))
    point = "[.]" if decimal_sign == "." else ","
    plain = rf"^[+-]?(\d+{point}?\d*|{point}\d+)([eE][+-]?\d{{1,3}})?$"
    # One sign between all groups; the first group does not begin with 0.
    grouped = rf"^[+-]?[1-9]\d{{0,2}}([{other}{GROUP_SIGNS}])\d{{3}}(\1\d{{3}})*({point}\d*)?$"
    digits = F.when(text.rlike(plain), text).otherwise(
        F.when(text.rlike(grouped), F.translate(text, f"{other} '’", ""))
    )
    if decimal_sign != ".":
        digits = F.translate(digits, decimal_sign, ".")
    number = digits.cast("double")
    return F.when(F.abs(number) != float("inf"), number)
