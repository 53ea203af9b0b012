"""Label cutoffs by the events within the horizon after them."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.session_rule import to_micros
from profile_lib.spark.timestamps import happened_time
from profile_lib.tables.events import EVENT_ORDER


def label_cutoffs(
    cutoffs: DataFrame, events: DataFrame, items: DataFrame, users: DataFrame, horizon: timedelta
) -> DataFrame:
    """Add labels to each cutoff, from events in [cutoff_ts, cutoff_ts + horizon).

    An event that arrived before the cutoff is no label, because its clock is ahead: it happened
    before the cutoff as well. So no label was known at its cutoff. Returns are left out: they take
    nothing back from a label, and show no interest.

    - `buys`: 1 if there is a purchase, else 0.
    - `spend`: price times quantity of all purchases, in the shop's currency.
    - `next_categories`: the distinct categories of all items, sorted.
    - `next_category`: the category of the first event whose item has one; null if none has.
    - `age_band`, `gender`, `attributes`: as the user declared them; null if unknown.
    """
    seconds = horizon.total_seconds()
    is_purchase = F.col("event_type") == "purchase"
    value = F.col("price") * F.coalesce("quantity", F.lit(1.0))
    # Only events of the two slots of time that a horizon touches are joined, not all of a user.
    slot = _slot(F.col("cutoff_ts"), horizon)
    slots = F.array(slot, slot + to_micros(horizon))
    categories = items.select("item_id", "category")
    later = events.where("event_type != 'return'").select(
        "user_id",
        _slot(F.col("event_ts"), horizon).alias("slot"),
        *EVENT_ORDER,
        "ingest_ts",
        "event_type",
        "item_id",
        "quantity",
        "price",
    )
    is_within = (happened_time() >= F.col("cutoff_ts")) & (
        F.col("event_ts").cast("double") < F.col("cutoff_ts").cast("double") + seconds
    )
    labels = (
        cutoffs.withColumn("slot", F.explode(slots))
        .join(later, ["user_id", "slot"])
        .where(is_within)
        .join(categories, "item_id", "left")
        .groupBy("user_id", "cutoff_ts")
        .agg(
            F.max(is_purchase.cast("int")).alias("buys"),
            F.sum(F.when(is_purchase, value)).alias("spend"),
            F.array_sort(F.collect_set("category")).alias("next_categories"),
            F.min_by(
                "category",
                F.when(F.col("category").isNotNull(), F.struct(*EVENT_ORDER)),
            ).alias("next_category"),
        )
    )
    return (
        cutoffs.join(labels, ["user_id", "cutoff_ts"], "left")
        .join(users.select("user_id", "age_band", "gender", "attributes"), "user_id", "left")
        .withColumns(
            {
                "buys": F.coalesce("buys", F.lit(0)),
                "spend": F.coalesce("spend", F.lit(0.0)),
                "next_categories": F.coalesce("next_categories", F.array().cast("array<string>")),
            }
        )
    )


def _slot(moment: Column, horizon: timedelta) -> Column:
    """Return the start of a moment's slot of time, in microseconds since 1970.

    Slots are as long as the horizon.
    """
    micros = F.unix_micros(moment)
    return micros - F.pmod(micros, F.lit(to_micros(horizon)))
