"""Propose the items that most users interacted with: the baseline of every comparison."""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from scipy import sparse

from profile_lib.config.section import Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.context_popularity import ContextPopularity
from profile_lib.recommend.candidates.source import SourceData
from profile_lib.recommend.data.histories import count_users_per_item


class PopularitySettings(Section):
    """No settings: each user of an item counts once."""


@candidate_source("popularity", PopularitySettings)
@dataclass(frozen=True)
class Popularity(ContextPopularity):
    """Items by their number of users, the same in every context."""

    default_reason = "popular with others"

    @classmethod
    def fit(cls, data: SourceData, settings: PopularitySettings) -> "Popularity":
        """Count the users of each item."""
        return cls.from_histories(data.histories, data.n_items)

    @classmethod
    def from_histories(cls, histories: DataFrame, n_items: int) -> "Popularity":
        """Count the users of each item in histories (user_id and STEPS)."""
        counts = count_users_per_item(histories).toPandas()  # one row per item
        cells = (np.zeros(len(counts), int), counts["item"])
        shares = sparse.csr_array((counts["n_users"], cells), shape=(1, n_items), dtype=np.float32)
        return cls(shares, np.zeros(0, np.int64), np.ones(1, np.float32))
