"""Build ranker examples from impressions, with profiles as of each impression."""

import logging
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.catalog_words import project_catalog
from profile_lib.feedback.click_debiasing import (
    BOUGHT,
    count_clicks_per_slot,
    fit_examination,
    label_impressions,
)
from profile_lib.pipelines.person_data import find_histories_as_of
from profile_lib.pipelines.ranker_examples import CUTOFF_KEY, build_profiles_at, write_and_reload
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import ServedModel
from profile_lib.recommend.ranking.examples import IMPRESSION_LISTS
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import FEEDBACK

log = logging.getLogger(__name__)

EXAMPLES_FOLDER = "impression_examples"


def write_impression_examples(
    store: Store, settings: Settings, model: ServedModel, shop: ShopData, folder: Path
) -> DataFrame | None:
    """Write the impressions of the ranker's train split, a row per request.

    A row holds the profile as of the request (REQUEST_COLUMNS), the lists IMPRESSION_LISTS and the
    query. Returns None if there are fewer than `recommend.min_clicks` clicks; the ranker then
    learns from candidates alone. Raises InputError if the effect of slots on clicks cannot be
    estimated.
    """
    config = settings.recommend
    until = midnight(settings.examples.validation_from) - settings.feedback.window
    is_in_train = F.col("shown_ts").between(F.lit(midnight(config.ranker_from)), F.lit(until))
    feedback = store.read_or_empty(FEEDBACK).where(F.col("is_complete") & is_in_train)
    n_clicks = feedback.where("is_clicked OR is_bought").count()
    if n_clicks < config.min_clicks:
        log.info(
            "  impressions are left out: %s clicks, fewer than recommend.min_clicks",
            f"{n_clicks:,}",
        )
        return None
    counts = count_clicks_per_slot(feedback).toArrow()  # one row per item and slot
    columns = (
        counts[name].to_numpy() for name in ("item_id", "slot", "n_impressions", "n_clicked")
    )
    labelled = label_impressions(feedback, fit_examination(*columns), config.max_click_weight)
    requests = group_by_request(labelled, shop.item_numbers)
    cutoffs = requests.select(*CUTOFF_KEY)
    histories = find_histories_as_of(store, settings, cutoffs)
    behaviour = build_behaviour(
        histories, project_catalog(shop.items), **settings.behaviour_rules()
    )
    profiles = build_profiles_at(store, settings, model, shop, behaviour)
    return write_and_reload(profiles.join(requests, CUTOFF_KEY), folder / EXAMPLES_FOLDER)


def group_by_request(impressions: DataFrame, item_numbers: DataFrame) -> DataFrame:
    """Group impressions by user and moment into IMPRESSION_LISTS, ordered by item."""
    label = F.col("label")
    row = F.struct(
        F.col("item").alias("items"),
        (label > 0).cast("int").alias("is_interacted"),
        (label == BOUGHT).cast("int").alias("is_bought"),
        F.col("weight").alias("weights"),
    )
    per_item = (
        impressions.join(F.broadcast(item_numbers), "item_id")
        .groupBy("user_id", F.col("shown_ts").alias("cutoff_ts"), "item")
        .agg(
            F.max("label").alias("label"),
            F.max("weight").alias("weight"),
            F.first("query").alias("query"),
        )
    )
    lists = per_item.groupBy(*CUTOFF_KEY).agg(
        F.array_sort(F.collect_list(row)).alias("rows"), F.first("query", True).alias("query")
    )
    columns = [F.col(f"rows.{name}").alias(name) for name in IMPRESSION_LISTS]
    return lists.select(*CUTOFF_KEY, F.lit("train").alias("split"), "query", *columns)
