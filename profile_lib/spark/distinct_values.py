"""Apply plain Python functions to the distinct values of a column."""

from collections.abc import Callable

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F


def map_distinct_strings(column: Column, function: Callable[[str], str | None]) -> Column:
    """Return the column of `function` of each string; null for null.

    Python calls the function once per distinct string of an Arrow batch.
    """

    @F.pandas_udf("string")  # type: ignore[call-overload]
    def map_batch(strings: pd.Series) -> pd.Series:
        code, distinct = pd.factorize(strings)
        results = pd.Series([*map(function, distinct), None], dtype=object)  # code -1 is null
        return results.iloc[code].reset_index(drop=True)

    return map_batch(column)
