"""Build ranker examples: profiles as of a cutoff, labelled with later interactions."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.examples.split import split_by_time
from profile_lib.inference.udf import InferenceCounters
from profile_lib.pipelines.person_data import read_person_users
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import ServedModel, build_facts, predict_profiles
from profile_lib.recommend.data.profile_columns import REQUEST_COLUMNS
from profile_lib.recommend.ranking.labels import find_later_interactions
from profile_lib.spark.hash_sampling import hash_uniform
from profile_lib.spark.session import cached
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import BEHAVIOUR, EVENTS

log = logging.getLogger(__name__)

CUTOFF_KEY = ["user_id", "cutoff_ts"]
EXAMPLES_FOLDER = "ranker_examples"
BEFORE_RANKER = "before"  # a split: its interactions may be known to the ranker's sources
SPLITS = (BEFORE_RANKER, "train", "validation", "test")


def write_ranker_examples(
    store: Store, settings: Settings, model: ServedModel, shop: ShopData, folder: Path
) -> DataFrame:
    """Write profiles as of sampled cutoffs, with the interactions that follow each.

    The columns are user_id, cutoff_ts, row_hash (of both), split, REQUEST_COLUMNS and
    RELEVANT_SCHEMA. Returns the frame as read from `folder`. Raises InputError if a split is empty.
    """
    config, examples = settings.recommend, settings.examples
    behaviour = store.read(BEHAVIOUR)
    cutoffs = split_by_time(
        behaviour.select(*CUTOFF_KEY),
        midnight(examples.validation_from),
        midnight(examples.test_from),
        config.horizon,
    )
    outcomes = find_later_interactions(
        cutoffs, shop.events, shop.item_numbers, list(config.weights), config.horizon
    )
    splits = split_off_before_ranker(cutoffs, midnight(config.ranker_from), config.horizon)
    max_cutoffs = {
        BEFORE_RANKER: config.max_train_cutoffs,
        "train": config.max_train_cutoffs,
        "validation": config.max_test_cutoffs,
        "test": config.max_test_cutoffs,
    }
    with cached(splits.join(outcomes, CUTOFF_KEY)) as labelled:
        chosen = sample_cutoffs(labelled, max_cutoffs, config.seed)
        profiles = build_profiles_at(
            store, settings, model, shop, behaviour.join(chosen.select(*CUTOFF_KEY), CUTOFF_KEY)
        )
        ranker_examples = write_and_reload(
            profiles.join(chosen, CUTOFF_KEY), folder / EXAMPLES_FOLDER
        )
    counts = ranker_examples.groupBy("split").count().collect()
    n_cutoffs = {row["split"]: row["count"] for row in counts}
    if missing := [split for split in SPLITS if not n_cutoffs.get(split)]:
        raise InputError(
            f"behaviour: no cutoff that an interaction follows in {', '.join(missing)}; wanted "
            f"some in each of {', '.join(SPLITS)}: move recommend.ranker_from, "
            "examples.validation_from or examples.test_from, or lengthen recommend.horizon_hours"
        )
    log.info("  %s", ", ".join(f"{n_cutoffs[split]:,} cutoffs {split}" for split in SPLITS))
    return ranker_examples


def build_profiles_at(
    store: Store, settings: Settings, model: ServedModel, shop: ShopData, behaviour: DataFrame
) -> DataFrame:
    """Build profiles as of the cutoffs in `behaviour`: user_id, cutoff_ts, REQUEST_COLUMNS."""
    no_reasons = with_values(settings, {"refresh.n_reasons": 0})
    version = F.lit(shop.versions[EVENTS.name])
    facts = build_facts(behaviour, read_person_users(store), no_reasons, version)
    profiles = predict_profiles(
        facts, no_reasons, model, InferenceCounters.create(store.spark.sparkContext)
    )
    return profiles.select("user_id", F.col("as_of_ts").alias("cutoff_ts"), *REQUEST_COLUMNS)


def split_off_before_ranker(
    cutoffs: DataFrame, ranker_from: datetime, horizon: timedelta
) -> DataFrame:
    """Move train cutoffs before `ranker_from` to the split BEFORE_RANKER.

    Those whose horizon reaches beyond `ranker_from` are left out.
    """
    cutoff, is_train = F.col("cutoff_ts"), F.col("split") == "train"
    split = (
        F.when(~is_train | (cutoff >= F.lit(ranker_from)), F.col("split"))
        .when(cutoff <= F.lit(ranker_from - horizon), BEFORE_RANKER)
        .otherwise(None)
    )
    return cutoffs.withColumn("split", split).where(F.col("split").isNotNull())


def sample_cutoffs(cutoffs: DataFrame, max_cutoffs: dict[str, int], seed: int) -> DataFrame:
    """Sample about `max_cutoffs` of each split, and add their `row_hash`.

    Whether a cutoff is sampled depends on its hash and the seed alone.
    """
    counts = cutoffs.groupBy("split").count().collect()
    if not counts:
        return cutoffs.withColumn("row_hash", F.lit(0).cast("long"))  # there is no row
    shares = {row["split"]: max_cutoffs[row["split"]] / row["count"] for row in counts}
    share = F.create_map(*[F.lit(part) for pair in shares.items() for part in pair])
    hashed = cutoffs.withColumn("row_hash", F.xxhash64(*CUTOFF_KEY))
    return hashed.where(hash_uniform(F.lit(seed), "row_hash") < share[F.col("split")])


def write_and_reload(frame: DataFrame, folder: Path) -> DataFrame:
    """Write a frame to Parquet and return it as read from there."""
    frame.write.parquet(str(folder))
    return frame.sparkSession.read.parquet(str(folder))
