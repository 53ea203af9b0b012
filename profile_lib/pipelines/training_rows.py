"""Describe the rows that models learn from, and read the table of examples."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.tables import EXAMPLES
from profile_lib.tables.events import CONTEXT_COLUMNS
from profile_lib.tables.features import NUMERIC_FEATURES


class RowSchema(NamedTuple):
    """Columns of the rows that a model learns from, and their roles."""

    numeric: Sequence[str]  # names of the values in the column `numeric`
    n_vector_numbers: int = 0  # the last so many of them are parts of vectors
    categories: Sequence[str] = ()
    segments: Sequence[str] = ()  # a report has metrics by each value of these columns
    key: Sequence[str] = ("user_id", "cutoff_ts")
    request: Sequence[str] = ()  # rows with the same values belong to one request


def example_row_schema() -> RowSchema:
    """Return the columns of examples, with all numeric features that are registered by now."""
    return RowSchema(
        NUMERIC_FEATURES.names(),
        categories=CONTEXT_COLUMNS,
        segments=("is_returning", "device", "region"),
    )


def read_examples_until(store: Store, day: date | None) -> DataFrame:
    """Read all examples, or those with a cutoff up to the end of `day`."""
    examples = store.read(EXAMPLES)
    if day is None:
        return examples
    return examples.where(F.col("cutoff_ts") < F.lit(day + timedelta(days=1)))
