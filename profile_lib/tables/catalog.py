"""Declare the table of items."""

from profile_lib.tables.table import (
    DOUBLE,
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
        optional("title", STRING, "normalised title"),
        optional("category", STRING, "most specific category, normalised"),
        optional("brand", STRING, "brand, normalised"),
        optional("price", DOUBLE, "median observed price, in the shop's currency"),
        optional("price_level", DOUBLE, "share of its category's items that cost less, 0 to 1"),
        required("keywords", STRINGS, "words of the title: stemmed, without stop words"),
    ),
)
