"""Clean raw rows → raw rows as a shop's log holds them: copied, late, malformed, out of range."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# What a row is hit by, in the order of the draw. Rows without a price cannot have a wrong one:
# such a row stays clean.
DIRT_KINDS = (
    "duplicate", "late", "unparsable_time", "null_user", "word_for_price", "negative_price",
    "future_time",
)  # fmt: skip
PRICE_DIRT_KINDS = ("word_for_price", "negative_price")
BAD_STARS = "stars_out_of_range"  # drawn among reviews alone
BOT = "bot"  # rows that the simulated bots made; they stay as they are
CLEAN = "clean"


def add_dirt(rows: DataFrame, share: float, seed: int) -> DataFrame:
    """About `share` of the rows made dirty, with the kind in the column `dirt`.

    Which rows is decided by their event_id alone. A duplicate comes as two equal rows, of which
    the column says `duplicate` twice.
    """
    hit = rows.withColumn("dirt", _draw_dirt_kind(share, seed)).transform(_apply_dirt)
    copies = F.when(F.col("dirt") == "duplicate", 2).otherwise(1)
    return hit.withColumn("copy", F.explode(F.array_repeat(F.lit(0), copies))).drop("copy")


def _uniform(seed: int, name: str) -> Column:
    bits = F.xxhash64(F.lit(seed), F.lit(name), F.col("event_id"))
    return F.pmod(bits, F.lit(1 << 40)) / F.lit(float(1 << 40))


def _draw_dirt_kind(share: float, seed: int) -> Column:
    draw = _uniform(seed, "dirt")
    kind = F.when(F.col("is_bot"), BOT)
    kind = kind.when(F.col("stars").isNotNull() & (_uniform(seed, "stars") < 2 * share), BAD_STARS)
    for place, name in enumerate(DIRT_KINDS):
        drawn = (draw >= place * share / len(DIRT_KINDS)) & (
            draw < (place + 1) * share / len(DIRT_KINDS)
        )
        possible = F.col("price").isNotNull() if name in PRICE_DIRT_KINDS else F.lit(True)
        kind = kind.when(drawn & possible, name)
    return kind.otherwise(CLEAN)


def _apply_dirt(rows: DataFrame) -> DataFrame:
    """Received a second after it happened, or days later; then whatever else is wrong."""
    days = 1 + F.floor(3 * _uniform(0, "days late"))
    broken: dict[str, tuple[str, Callable[[Column], Column]]] = {
        "unparsable_time": ("time", lambda c: F.concat(F.lit("yesterday "), F.substring(c, 12, 5))),
        "future_time": ("time", lambda c: F.concat(F.lit("2199"), F.substring(c, 5, 20))),
        "null_user": ("uid", lambda c: F.lit(None).cast("string")),
        "word_for_price": ("price", lambda c: F.lit("on request")),
        "negative_price": ("price", lambda c: F.concat(F.lit("-"), c)),
        BAD_STARS: ("stars", lambda c: F.lit("9")),
    }
    late = F.when(F.col("dirt") == "late", days * 86_400).otherwise(F.lit(1))
    rows = rows.withColumn("received", F.col("event_time") + F.make_dt_interval(secs=late))
    for kind, (name, change) in broken.items():
        value = F.when(F.col("dirt") == kind, change(F.col(name))).otherwise(F.col(name))
        rows = rows.withColumn(name, value)
    return rows
