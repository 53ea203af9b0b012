"""Declare the tables of items and of the statistics that they are derived from."""

from pyspark.sql import types as T

from profile_lib.tables.table import (
    COUNTS,
    DOUBLE,
    FACTS,
    LONG,
    REINGEST_INSTRUCTIONS,
    STRING,
    STRINGS,
    Table,
    optional,
    required,
)

ITEMS = Table(
    "items",
    "The catalog of items: published by the source, or derived from its events",
    key=("item_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    columns=(
        required("item_id", STRING, "item"),
        optional("title", STRING, "title, normalised: declared, else the most frequent one"),
        optional("category", STRING, "most specific category, chosen as the title is, normalised"),
        optional("brand", STRING, "brand, chosen as the title is, normalised"),
        optional(
            "price", DOUBLE, "declared price, else the median of all events, in the shop's currency"
        ),
        optional("price_level", DOUBLE, "share of its category's items that cost less, 0 to 1"),
        required("keywords", STRINGS, "stems of the title's words, without function words"),
        optional("keyword_forms", STRINGS, "each of the keywords as the title has it"),
    ),
)

ITEM_STATISTICS = Table(
    "item_statistics",
    "Counts of the values of each item in all events, and its declared facts, the base of `items`",
    key=("item_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    deletion_vectors=True,
    columns=(
        required("item_id", STRING, "item"),
        required("titles", COUNTS, "number of events by title, normalised; the most frequent"),
        required("categories", COUNTS, "number of events by category, as for titles"),
        required("brands", COUNTS, "number of events by brand, as for titles"),
        required(
            "prices",
            T.MapType(DOUBLE, LONG),
            "number of events by price, in the shop's currency; the most frequent",
        ),
        required(
            "declared",
            FACTS,
            "title, category, brand and price of a catalog, each with the time of arrival, UTC",
        ),
        required("batch_ids", STRINGS, "the last batches that were counted, the newest first"),
    ),
)
