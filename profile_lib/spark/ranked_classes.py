"""Rank classes by their predicted probabilities, as a Spark column."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F


def rank_classes(probabilities: Column, classes: Sequence[str], n: int) -> Column:
    """Return the `n` most probable classes, most probable first, ties by name.

    `probabilities` is an array column with one probability per class. The result is an array of
    structs (name, weight).
    """
    pairs = F.arrays_zip(probabilities.alias("p"), F.array(*map(F.lit, classes)).alias("c"))
    ranked = F.array_sort(
        F.transform(pairs, lambda x: F.struct((-x["p"]).alias("minus_p"), x["c"].alias("name")))
    )
    return F.transform(
        F.slice(ranked, 1, n),
        lambda x: F.struct(x["name"].alias("name"), (-x["minus_p"]).cast("double").alias("weight")),
    )
