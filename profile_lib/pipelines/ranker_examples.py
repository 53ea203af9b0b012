"""Profiles as they were at cutoffs, with what was met after each: what a ranker learns from."""

from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.recommend import RecommendSettings
from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.examples.split import split_by_time
from profile_lib.inference.udf import InferenceCounters
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import ServedModel, build_facts, predict_profiles
from profile_lib.recommend.ranking.labels import find_later_interactions
from profile_lib.recommend.serving.requests import REQUEST_COLUMNS
from profile_lib.spark.hash_sampling import hash_uniform
from profile_lib.spark.moments import midnight
from profile_lib.spark.session import cached
from profile_lib.tables import BEHAVIOUR, EVENTS, USERS

CUTOFF_KEY = ["user_id", "cutoff_ts"]
EXAMPLES_FOLDER = "ranker_examples"  # the folder they are kept in
BEFORE_RANKER = "before"  # the split whose cutoffs' outcomes the ranker's sources may know


def write_ranker_examples(
    store: Store, settings: Settings, model: ServedModel, shop: ShopData, folder: Path
) -> DataFrame:
    """Profiles as they were at some cutoffs, with what was met within the horizon after each: REQUEST_COLUMNS,
    RELEVANT_SCHEMA, the cutoff, its hash and its split, kept in `folder`.

    Raises InputError where a split is empty.
    """
    given, examples = settings.recommend, settings.examples
    behaviour = store.read(BEHAVIOUR)
    cutoffs = split_by_time(
        behaviour.select("user_id", "cutoff_ts"),
        midnight(examples.validation_from),
        midnight(examples.test_from),
        given.horizon,
    )
    outcomes = find_later_interactions(
        cutoffs, shop.events, shop.item_numbers, list(given.weights), given.horizon
    )
    parted = split_off_before_ranker(cutoffs, midnight(given.ranker_from), given.horizon)
    with cached(parted.join(outcomes, CUTOFF_KEY)) as told_after:
        chosen = sample_cutoffs(told_after, given)
        told = build_profiles_at(
            store, settings, model, shop, behaviour.join(chosen.select(*CUTOFF_KEY), CUTOFF_KEY)
        )
        ranker_examples = write_and_reload(told.join(chosen, CUTOFF_KEY), folder / EXAMPLES_FOLDER)
    n_of = {
        row["split"]: row["count"] for row in ranker_examples.groupBy("split").count().collect()
    }
    wanted = (BEFORE_RANKER, "train", "validation", "test")
    if missing := [split for split in wanted if not n_of.get(split)]:
        raise InputError(
            f"behaviour: no cutoff after which an item was met in {', '.join(missing)}; wanted "
            f"some in each of {', '.join(wanted)}: move recommend.ranker_from, "
            "examples.validation_from or examples.test_from, or lengthen recommend.horizon_hours"
        )
    print("  " + ", ".join(f"{n_of[split]:,} cutoffs {split}" for split in wanted), flush=True)
    return ranker_examples


def build_profiles_at(
    store: Store, settings: Settings, model: ServedModel, shop: ShopData, behaviour: DataFrame
) -> DataFrame:
    """(user_id, cutoff_ts) and REQUEST_COLUMNS of profiles as they were at the cutoffs of `behaviour`."""
    no_reasons = with_values(settings, {"refresh.n_reasons": 0})
    version = F.lit(shop.versions[EVENTS.name])
    facts = build_facts(behaviour, store.read(USERS), no_reasons, version)
    profiles = predict_profiles(
        facts, no_reasons, model, InferenceCounters.create(store.spark.sparkContext)
    )
    return profiles.select("user_id", F.col("as_of_ts").alias("cutoff_ts"), *REQUEST_COLUMNS)


def split_off_before_ranker(
    cutoffs: DataFrame, ranker_from: datetime, horizon: timedelta
) -> DataFrame:
    """Cutoffs of the train split before `ranker_from` are of the split BEFORE_RANKER; those whose horizon
    reaches beyond it are left out."""
    cutoff, is_train = F.col("cutoff_ts"), F.col("split") == "train"
    split = (
        F.when(~is_train | (cutoff >= F.lit(ranker_from)), F.col("split"))
        .when(cutoff <= F.lit(ranker_from - horizon), BEFORE_RANKER)
        .otherwise(None)
    )
    return cutoffs.withColumn("split", split).where(F.col("split").isNotNull())


def sample_cutoffs(cutoffs: DataFrame, given: RecommendSettings) -> DataFrame:
    """With a `row_hash` of user and cutoff; of each split about as many as are wanted, by a draw
    for each hash."""
    n_of = {row["split"]: row["count"] for row in cutoffs.groupBy("split").count().collect()}
    most = dict.fromkeys(n_of, given.max_test_cutoffs) | {
        BEFORE_RANKER: given.max_train_cutoffs, "train": given.max_train_cutoffs
    }  # fmt: skip
    if not n_of:
        return cutoffs.withColumn("row_hash", F.lit(0).cast("long"))  # of none
    share = F.create_map(*[F.lit(x) for split, n in n_of.items() for x in (split, most[split] / n)])
    hashed = cutoffs.withColumn("row_hash", F.xxhash64("user_id", "cutoff_ts"))
    return hashed.where(hash_uniform(F.lit(given.seed), "row_hash") < share[F.col("split")])


def write_and_reload(frame: DataFrame, folder: Path) -> DataFrame:
    """The frame as it was computed, from files."""
    frame.write.parquet(str(folder))
    return frame.sparkSession.read.parquet(str(folder))
