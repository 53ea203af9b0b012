"""Compute a pseudo-random number per row of a Spark frame by hash."""

from pyspark.sql import Column
from pyspark.sql import functions as F

HASH_LEVELS = 1_000_000  # number of values that hash_uniform can return


def hash_uniform(*columns: Column | str) -> Column:
    """Return a pseudo-random number in [0, 1) that depends on the columns' values alone."""
    return F.pmod(F.xxhash64(*columns), F.lit(HASH_LEVELS)) / HASH_LEVELS
