"""feedback → rows that a ranker learns from: what was shown, as its users stood then."""

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.features.as_of import join_events_as_of
from profile_lib.features.behaviour import build_behaviour
from profile_lib.feedback.click_debiasing import (
    BOUGHT,
    count_clicks_per_slot,
    fit_examination,
    label_impressions,
)
from profile_lib.pipelines.ranker_examples import CUTOFF_KEY, build_profiles_at, write_and_reload
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import ServedModel
from profile_lib.recommend.ranking.examples import IMPRESSION_LISTS
from profile_lib.spark.moments import midnight
from profile_lib.tables import EVENTS, FEEDBACK


def write_impression_examples(
    store: Store, settings: Settings, model: ServedModel, shop: ShopData, folder: Path
) -> DataFrame | None:
    """What was shown in the time of the ranker's train split, kept in `folder`: a row a request,
    with the profile as it was then, IMPRESSION_LISTS, REQUEST_COLUMNS and the query.

    None where fewer than `recommend.min_clicks` are told of: candidates stand in for it then.
    Raises InputError where slots cannot be told apart.
    """
    given = settings.recommend
    until = midnight(settings.examples.validation_from) - settings.feedback.window
    in_time = (F.col("shown_ts") >= F.lit(midnight(given.ranker_from))) & (
        F.col("shown_ts") <= F.lit(until)
    )
    feedback = store.read_or_empty(FEEDBACK).where(F.col("is_complete") & in_time)
    n_clicks = feedback.where("is_clicked OR is_bought").count()
    if n_clicks < given.min_clicks:
        print(f"  {n_clicks:,} clicks on what was shown, fewer than recommend.min_clicks: left out")
        return None
    counts = count_clicks_per_slot(feedback).toArrow()  # grows with items
    columns = (
        counts[name].to_numpy() for name in ("item_id", "slot", "n_impressions", "n_clicked")
    )
    examples = label_impressions(feedback, fit_examination(*columns), given.max_click_weight)
    requests = _requests(examples, shop)
    cutoffs = requests.select(*CUTOFF_KEY)
    known = join_events_as_of(store.read(EVENTS, shop.versions[EVENTS.name]), cutoffs)
    behaviour = build_behaviour(known, shop.items, **settings.behaviour_rules())
    told = build_profiles_at(store, settings, model, shop, behaviour)
    return write_and_reload(told.join(requests, CUTOFF_KEY), folder / "impression_examples")


def _requests(examples: DataFrame, shop: ShopData) -> DataFrame:
    """A row a user and moment, with lists of IMPRESSION_LISTS in the order of the items."""
    label = F.col("label")
    row = F.struct(
        F.col("item").alias("items"),
        (label > 0).cast("int").alias("is_interacted"),
        (label == BOUGHT).cast("int").alias("is_bought"),
        F.col("weight").alias("weights"),
    )
    of_item = (
        examples.join(F.broadcast(shop.item_numbers), "item_id")
        .groupBy("user_id", F.col("shown_ts").alias("cutoff_ts"), "item")
        .agg(
            F.max("label").alias("label"),
            F.max("weight").alias("weight"),
            F.first("query").alias("query"),
        )
    )
    lists = of_item.groupBy(*CUTOFF_KEY).agg(
        F.array_sort(F.collect_list(row)).alias("rows"), F.first("query", True).alias("query")
    )
    columns = [F.col(f"rows.{name}").alias(name) for name in IMPRESSION_LISTS]
    return lists.select(*CUTOFF_KEY, F.lit("train").alias("split"), "query", *columns)
