"""Combine frames."""

from collections.abc import Sequence
from functools import partial, reduce

from pyspark.sql import DataFrame


def union_all(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames; a column that one lacks is null."""
    return reduce(partial(DataFrame.unionByName, allowMissingColumns=True), frames)
