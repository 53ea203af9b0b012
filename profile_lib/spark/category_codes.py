"""Values and a list of known ones in, where each stands in it out, as Spark columns."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from pyspark.sql import Column
from pyspark.sql import functions as F


class Category(Protocol):
    """A column and the values of it that a model knows."""

    @property
    def name(self) -> str:
        """The column's name."""

    @property
    def values(self) -> Sequence[str]:
        """The known values; a value's code is its position."""


def category_code(value: Column, known: Sequence[str]) -> Column:
    """The value's position in `known`, from 0; -1 where it is null or not one of them."""
    found = F.array_position(F.array(*(F.lit(k) for k in known)).cast("array<string>"), value)
    return (F.coalesce(found, F.lit(0)) - 1).cast("int")


def append_category_codes(numeric: Column, categories: Iterable[Category]) -> Column:
    """Append the code of each category's column to `numeric`, NaN for an unknown value.

    Training and inference both build a model's inputs by this function.
    """
    nan = F.lit(math.nan)
    codes = []
    for category in categories:
        code = category_code(F.col(category.name), category.values)
        codes.append(F.when(code >= 0, code.cast("double")).otherwise(nan))
    unknown = F.transform(numeric, lambda x: F.coalesce(x.cast("double"), nan))
    return F.concat(unknown, F.array(*codes)) if codes else unknown
