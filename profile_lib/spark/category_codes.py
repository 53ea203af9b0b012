"""Values and a list of known ones in, where each stands in it out, as Spark columns."""

import math
from collections.abc import Iterable, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F


def category_code(value: Column, known: Sequence[str]) -> Column:
    """The value's position in `known`, from 0; -1 where it is null or not one of them."""
    found = F.array_position(F.array(*(F.lit(k) for k in known)).cast("array<string>"), value)
    return (F.coalesce(found, F.lit(0)) - 1).cast("int")


def append_category_codes(
    numeric: Column, categories: Iterable[tuple[str, Sequence[str]]]
) -> Column:
    """`numeric` and, behind it, a number for each (column, known values): the value's position,
    NaN where it is unknown. What a model reads at training and at inference alike."""
    nan = F.lit(math.nan)
    codes = []
    for column, known in categories:
        at = category_code(F.col(column), known)
        codes.append(F.when(at >= 0, at.cast("double")).otherwise(nan))
    unknown = F.transform(numeric, lambda x: F.coalesce(x.cast("double"), nan))
    return F.concat(unknown, F.array(*codes)) if codes else unknown
