"""feedback → rows that a ranker learns from: what was shown, as its users stood then."""

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.known_shop import KnownShop
from jobs.pasts import KEY, profiles_at, written
from jobs.profiling import Served
from profile_lib.config import Settings
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.known import known_events
from profile_lib.feedback.ranking import BOUGHT, examination, ranking_examples, slot_counts
from profile_lib.recommend.ranker_rows import SHOWN
from profile_lib.store import Store
from profile_lib.tables import EVENTS, FEEDBACK
from profile_lib.timeline import midnight


def write_shown(
    store: Store, settings: Settings, model: Served, shop: KnownShop, folder: Path
) -> DataFrame | None:
    """What was shown in the time of the ranker's train split, kept in `folder`: a row a request,
    with the profile as it was then, SHOWN, READ and the query.

    None where fewer than `recommend.least_clicks` are told of: candidates stand in for it then.
    Raises InputError where slots cannot be told apart.
    """
    given = settings.recommend
    until = midnight(settings.examples.validation_from) - settings.feedback.window
    in_time = (F.col("shown_ts") >= F.lit(midnight(given.ranker_from))) & (
        F.col("shown_ts") <= F.lit(until)
    )
    feedback = store.read_or_empty(FEEDBACK).where(F.col("is_complete") & in_time)
    n_clicks = feedback.where("is_clicked OR is_bought").count()
    if n_clicks < given.least_clicks:
        print(
            f"  {n_clicks:,} clicks on what was shown, fewer than recommend.least_clicks: left out"
        )
        return None
    counts = slot_counts(feedback).toArrow()  # grows with items
    columns = (counts[name].to_numpy() for name in ("item_id", "slot", "n_shown", "n_clicked"))
    examples = ranking_examples(feedback, examination(*columns), given.most_weight)
    requests = _requests(examples, shop)
    cutoffs = requests.select(*KEY)
    known = known_events(store.read(EVENTS, shop.versions[EVENTS.name]), cutoffs)
    behaviour = build_behaviour(known, shop.items, **settings.behaviour_rules())
    told = profiles_at(store, settings, model, shop, behaviour)
    return written(told.join(requests, KEY), folder / "shown")


def _requests(examples: DataFrame, shop: KnownShop) -> DataFrame:
    """A row a user and moment, with lists of SHOWN in the order of the items."""
    label = F.col("label")
    row = F.struct(
        F.col("item").alias("items"),
        (label > 0).cast("int").alias("is_met"),
        (label == BOUGHT).cast("int").alias("is_bought"),
        F.col("weight").alias("weights"),
    )
    of_item = (
        examples.join(F.broadcast(shop.numbers), "item_id")
        .groupBy("user_id", F.col("shown_ts").alias("cutoff_ts"), "item")
        .agg(
            F.max("label").alias("label"),
            F.max("weight").alias("weight"),
            F.first("query").alias("query"),
        )
    )
    lists = of_item.groupBy(*KEY).agg(
        F.array_sort(F.collect_list(row)).alias("rows"), F.first("query", True).alias("query")
    )
    columns = [F.col(f"rows.{name}").alias(name) for name in SHOWN]
    return lists.select(*KEY, F.lit("train").alias("split"), "query", *columns)
