"""Draw numbers for rows by hash, so that a draw depends on the row alone."""

from pyspark.sql import Column
from pyspark.sql import functions as F

HASH_LEVELS = 1_000_000  # different values of a draw


def hash_uniform(*columns: Column | str) -> Column:
    """Column: a number in [0, 1) per row, the same for the same values."""
    return F.pmod(F.xxhash64(*columns), F.lit(HASH_LEVELS)) / HASH_LEVELS
