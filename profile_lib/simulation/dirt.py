"""Add defects to raw rows: copies, late arrivals and invalid values."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# A random number chooses one of these, in this order. If it chooses a defect of the price for a row
# without one, the row stays clean.
DIRT_KINDS = (
    "duplicate", "late", "unparsable_time", "null_user", "word_for_price", "negative_price",
    "future_time",
)  # fmt: skip
PRICE_DIRT_KINDS = ("word_for_price", "negative_price")
BAD_STARS = "stars_out_of_range"  # only reviews get this defect
BOT = "bot"  # rows of the simulated bots, which get no defect
CLEAN = "clean"


def add_dirt(rows: DataFrame, share: float, seed: int) -> DataFrame:
    """Add defects to about `share` of the rows.

    The added column `dirt` names the kind of each row's defect. It depends only on the seed and the
    row's event_id. A duplicate becomes two equal rows, both of the kind `duplicate`. The column
    `received` is added too: the arrival, a second after the event unless the row is late.
    """
    dirty = rows.withColumn("dirt", _draw_dirt_kind(share, seed)).transform(_apply_dirt)
    copies = F.when(F.col("dirt") == "duplicate", 2).otherwise(1)
    return dirty.withColumn("copy", F.explode(F.array_repeat(F.lit(0), copies))).drop("copy")


def _uniform(seed: int, name: str) -> Column:
    bits = F.xxhash64(F.lit(seed), F.lit(name), F.col("event_id"))
    return F.pmod(bits, F.lit(1 << 40)) / F.lit(float(1 << 40))


def _draw_dirt_kind(share: float, seed: int) -> Column:
    random = _uniform(seed, "dirt")
    kind = F.when(F.col("is_bot"), BOT)
    kind = kind.when(F.col("stars").isNotNull() & (_uniform(seed, "stars") < 2 * share), BAD_STARS)
    for rank, name in enumerate(DIRT_KINDS):
        low, high = (n * share / len(DIRT_KINDS) for n in (rank, rank + 1))
        is_chosen = (random >= low) & (random < high)
        is_possible = F.col("price").isNotNull() if name in PRICE_DIRT_KINDS else F.lit(True)
        kind = kind.when(is_chosen & is_possible, name)
    return kind.otherwise(CLEAN)


def _apply_dirt(rows: DataFrame) -> DataFrame:
    """Add `received`, and change the values of each row by its kind of dirt."""
    days_late = 1 + F.floor(3 * _uniform(0, "days late"))
    broken: dict[str, tuple[str, Callable[[Column], Column]]] = {
        "unparsable_time": ("time", lambda c: F.concat(F.lit("yesterday "), F.substring(c, 12, 5))),
        "future_time": ("time", lambda c: F.concat(F.lit("2199"), F.substring(c, 5, 20))),
        "null_user": ("uid", lambda c: F.lit(None).cast("string")),
        "word_for_price": ("price", lambda c: F.lit("on request")),
        "negative_price": ("price", lambda c: F.concat(F.lit("-"), c)),
        BAD_STARS: ("stars", lambda c: F.lit("9")),
    }
    delay_seconds = F.when(F.col("dirt") == "late", days_late * 86_400).otherwise(F.lit(1))
    received = F.col("event_time") + F.make_dt_interval(secs=delay_seconds)
    rows = rows.withColumn("received", received)
    for kind, (name, change) in broken.items():
        value = F.when(F.col("dirt") == kind, change(F.col(name))).otherwise(F.col(name))
        rows = rows.withColumn(name, value)
    return rows
