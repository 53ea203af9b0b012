"""Compute the simulated shop's hidden truth: how well an item suits a user."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.rows import Shop

BRANDS = 4  # per category


def simulated_shop(settings: Settings) -> Shop:
    """The shop that `simulate_events` simulates."""
    simulate = settings.simulate
    names = ("n_users", "n_items", "n_days", "sessions_per_user", "chinese_share", "drift_share")
    sizes = {name: getattr(simulate, name) for name in names}
    return Shop(seed=simulate.seed, bots_share=simulate.bots_share, **sizes)


def add_appeal(pairs: DataFrame, identity: DataFrame, shop: Shop) -> DataFrame:
    """Add to (user_id, item_id) the probability `appeal` of a click if the user looks at the item.

    It depends on the user's interest in the item's category in the second half of the simulated
    time, on the favourite brand and on the price level.
    """
    rng, catalog = KeyedRandom(shop.seed), shop.catalog()

    def compute(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            numbers, person = np.unique(frame["user"].to_numpy(), return_inverse=True)
            people, item = shop.people(numbers), frame["item"].to_numpy()
            category = catalog.category[item]
            interests = people.interests[person, 1]
            likes = interests[np.arange(len(person)), category] / interests.max(axis=1)
            favourite = rng.pick("favourite brand", np.ones(BRANDS), numbers[person], category)
            is_near = 1 - np.abs(catalog.price_level[item] - people.wealth[person])
            suits = 0.6 * likes + 0.4 * (0.4 * (catalog.brand[item] == favourite) + 0.6 * is_near)
            yield frame.assign(appeal=0.02 + 0.5 * suits**3)

    numbered = pairs.join(identity.select("user_id", "raw_id"), "user_id").withColumns(
        {
            "user": F.substring("raw_id", 2, 9).cast("long"),
            "item": F.substring("item_id", 2, 9).cast("long"),
        }
    )
    columns = numbered.drop("raw_id")
    return columns.mapInPandas(compute, f"{columns.schema.simpleString()[7:-1]}, appeal double")
