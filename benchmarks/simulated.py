"""What the simulated shop hides: how well an item suits a user."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.rows import Shop

BRANDS = 4  # of a category


def simulated_shop(settings: Settings) -> Shop:
    """The shop that `simulate_events` makes."""
    given = settings.simulate
    names = ("n_users", "n_items", "n_days", "sessions_per_user", "chinese_share", "drift_share")
    told = {name: getattr(given, name) for name in names}
    return Shop(seed=given.seed, bots_share=given.bots_share, **told)


def add_appeal(pairs: DataFrame, identity: DataFrame, shop: Shop) -> DataFrame:
    """(user_id, item_id) with `appeal`: how likely an item is clicked where it is looked at, by the
    user's interest in its category in the second half of the time, brand and price level."""
    rng, catalog = KeyedRandom(shop.seed), shop.catalog()

    def add_appeal(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            numbers, of = np.unique(frame["user"].to_numpy(), return_inverse=True)
            people, item = shop.people(numbers), frame["item"].to_numpy()
            category = catalog.category[item]
            interests = people.interests[of, 1]
            likes = interests[np.arange(len(of)), category] / interests.max(axis=1)
            favourite = rng.pick("favourite brand", np.ones(BRANDS), numbers[of], category)
            is_near = 1 - np.abs(catalog.price_level[item] - people.wealth[of])
            suits = 0.6 * likes + 0.4 * (0.4 * (catalog.brand[item] == favourite) + 0.6 * is_near)
            yield frame.assign(appeal=0.02 + 0.5 * suits**3)

    numbered = pairs.join(identity.select("user_id", "raw_id"), "user_id").withColumns(
        {
            "user": F.substring("raw_id", 2, 9).cast("long"),
            "item": F.substring("item_id", 2, 9).cast("long"),
        }
    )
    chosen = numbered.drop("raw_id")
    return chosen.mapInPandas(add_appeal, f"{chosen.schema.simpleString()[7:-1]}, appeal double")
