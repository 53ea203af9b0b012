"""Histories in, what most users met out: the least that any source has to beat."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.recommend.candidates.popular_by_context import ContextPopularity


def fit_popularity(histories: DataFrame, n_items: int) -> ContextPopularity:
    """Items by how many users met them, whatever the context."""
    met = histories.select(F.explode(F.array_distinct("items")).alias("item"))
    counted = met.groupBy("item").count().toPandas()  # grows with items
    cells = (np.zeros(len(counted), int), counted["item"])
    shares = sparse.csr_array((counted["count"], cells), shape=(1, n_items), dtype=np.float32)
    return ContextPopularity(shares, np.zeros(0, np.int64), np.ones(1, np.float32))
