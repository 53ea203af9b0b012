"""Encode categories by their index in a list of known values."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from pyspark.sql import Column
from pyspark.sql import functions as F


class Category(Protocol):
    """A categorical column, with the values that a model knows."""

    @property
    def name(self) -> str:
        """The column's name."""

    @property
    def values(self) -> Sequence[str]:
        """The known values; the code of a value is its index."""


def category_code(value: Column, known: Sequence[str]) -> Column:
    """Return the index of a value in `known`; -1 if it is not there.

    >>> frame = spark.createDataFrame([("b",), ("x",), (None,)], "c string")
    >>> [row[0] for row in frame.select(category_code(frame.c, ["a", "b"])).collect()]
    [1, -1, -1]
    """
    known_values = F.array(*(F.lit(k) for k in known)).cast("array<string>")
    place = F.array_position(known_values, value)  # from 1, 0 if the value is not there
    return (F.coalesce(place, F.lit(0)) - 1).cast("int")


def append_category_codes(numeric: Column, categories: Iterable[Category]) -> Column:
    """Return `numeric` with the category codes appended, as an array of doubles.

    A null number and the code of an unknown value are NaN. Training and inference both build a
    model's inputs with this function.
    """
    nan = F.lit(math.nan)
    codes = []
    for category in categories:
        code = category_code(F.col(category.name), category.values)
        codes.append(F.when(code >= 0, code.cast("double")).otherwise(nan))
    numbers = F.transform(numeric, lambda x: F.coalesce(x.cast("double"), nan))
    return F.concat(numbers, F.array(*codes)) if codes else numbers
