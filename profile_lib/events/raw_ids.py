"""Write the values of a source as texts, and recognise ids that mean nobody."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

WHITE_SPACE = " \t\r\n\x0b\x0c\u00a0\u3000\ufeff"  # around ids and words
# UUIDs of zeros or of f alone, in braces too, and other ids of several zeros and dashes.
NOBODY = r"^[{(]?(?:[0-]{2,}|[fF-]{32,36})[)}]?$"
FIRST_OF_NOBODY = "{(0-fF"  # the signs with which they begin


def to_text(value: Column, data_type: T.DataType) -> Column:
    """Return values of any type as texts; NaN is null.

    A whole number has no point and no exponent, so that an id which a writer stored as a double
    equals the same id in a text.

    >>> frame = spark.createDataFrame([(17850.0, 0.5), (2e9, float("nan"))], "a double, b double")
    >>> texts = [to_text(F.col(name), T.DoubleType()) for name in frame.columns]
    >>> [tuple(row) for row in frame.select(*texts).collect()]
    [('17850', '0.5'), ('2000000000', None)]
    """
    if not isinstance(data_type, T.FractionalType) or isinstance(data_type, T.DecimalType):
        return value.cast("string")
    number = F.when(~F.isnan(value), value)
    whole = number.cast("decimal(38, 0)")
    is_whole = whole.cast("double") == number.cast("double")
    return F.when(is_whole, whole.cast("string")).otherwise(number.cast("string"))


def trim_text(text: Column) -> Column:
    """Return a text without the white space around it."""
    return F.btrim(text, F.lit(WHITE_SPACE))


def is_placeholder(text: Column, placeholder_ids: Sequence[str]) -> Column:
    """Return whether an id means nobody: listed, or NOBODY."""
    may_be_nobody = F.substring(text, 1, 1).isin(*FIRST_OF_NOBODY)  # cheaper than the pattern
    return F.lower(text).isin(*placeholder_ids) | (may_be_nobody & text.rlike(NOBODY))
