"""Make the catalog of the simulated shop."""

from dataclasses import dataclass

import numpy as np

from profile_lib.arrays.types import Flags, Floats, Longs, Strings
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.words import (
    ASSORTMENTS,
    CHINESE_COLOURS,
    CHINESE_STYLES,
    COLOURS,
    STYLES,
)

ZIPF_EXPONENT = 1.0


@dataclass(frozen=True)
class Catalog:
    """Arrays with one row per item; within a category, the most popular items come first."""

    item: Strings
    category: Longs  # index into ASSORTMENTS
    brand: Longs  # index into its category's brands
    title: Strings
    query: Strings  # the words by which users search for it
    is_chinese: Flags
    price: Floats
    quality: Floats  # standard normal; shifts the stars of reviews
    price_level: Floats  # 0 to 1 within its category
    items_by_category: tuple[Longs, ...]  # items of each category, most popular first


def make_catalog(rng: KeyedRandom, n_items: int, chinese_share: float) -> Catalog:
    """Make `n_items` items, spread evenly over the categories.

    About `chinese_share` of them have a Chinese title.
    """
    number = np.arange(n_items)
    category = number % len(ASSORTMENTS)
    style = rng.pick("style", np.ones(len(STYLES)), number)
    colour = rng.pick("colour", np.ones(len(COLOURS)), number)
    noun = (rng.uniform("noun", number) * [len(ASSORTMENTS[c].nouns) for c in category]).astype(int)
    brand = (rng.uniform("brand", number) ** 1.5 * 4).astype(int)
    is_chinese = rng.uniform("chinese", number) < chinese_share
    titles, queries = [], []
    for row in zip(category, brand, style, noun, colour, is_chinese, strict=True):
        title, query = _name_item(*row)
        titles.append(title)
        queries.append(query)
    level = 0.5 * rng.normal("price", number) + 0.35 * (brand - 1)
    median = np.array([ASSORTMENTS[c].median_price for c in category])
    items_by_category = tuple(np.flatnonzero(category == c) for c in range(len(ASSORTMENTS)))
    return Catalog(
        item=np.array([f"i{n:06d}" for n in number], dtype=object),
        category=category,
        brand=brand,
        title=np.array(titles, dtype=object),
        query=np.array(queries, dtype=object),
        is_chinese=is_chinese,
        price=np.round(median * np.exp(level), 2),
        quality=rng.normal("quality", number),
        price_level=_price_levels(level, items_by_category),
        items_by_category=items_by_category,
    )


def _name_item(
    category: int, brand: int, style: int, noun: int, colour: int, is_chinese: bool
) -> tuple[str, str]:
    """Return an item's title, and the query that finds it."""
    assortment = ASSORTMENTS[category]
    if is_chinese:
        product = assortment.chinese_nouns[noun]
        name = f"{CHINESE_STYLES[style]}{product} {CHINESE_COLOURS[colour]}"
    else:
        product = assortment.nouns[noun]
        name = f"{STYLES[style]} {product}, {COLOURS[colour]}"
    return f"{assortment.brands[brand]} {name}", product


def _price_levels(level: Floats, items_by_category: tuple[Longs, ...]) -> Floats:
    """Return the rank of each item's level within its category, scaled to 0 to 1."""
    price_level = np.zeros(len(level))
    for items in items_by_category:
        price_level[items] = np.argsort(np.argsort(level[items])) / max(len(items) - 1, 1)
    return price_level


def pick_items(
    rng: KeyedRandom, name: str, catalog: Catalog, category: Longs, *keys: Longs
) -> Longs:
    """Draw one item per row from the row's category, by Zipf's law.

    The k-th most popular item has the weight k^-ZIPF_EXPONENT. `name` and `keys` are those of
    `KeyedRandom`.
    """
    picked = np.empty(len(category), dtype=np.int64)
    for c, items in enumerate(catalog.items_by_category):
        rows = np.flatnonzero(category == c)
        weights = np.arange(1, len(items) + 1, dtype=float) ** -ZIPF_EXPONENT
        picked[rows] = items[rng.pick(name, weights, *(key[rows] for key in keys))]
    return picked
