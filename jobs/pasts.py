"""Profiles as they were at cutoffs, with what was met after each: what a ranker learns from."""

from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.known_shop import KnownShop
from jobs.profiling import Served, facts_of, profiles_of
from profile_lib.config import Settings, with_values
from profile_lib.errors import InputError
from profile_lib.examples.split import split_by_time
from profile_lib.inference.udf import Counts
from profile_lib.recommend.asking import READ
from profile_lib.recommend.outcomes import met_after
from profile_lib.sections.recommending import RecommendSettings
from profile_lib.spark import draw, kept
from profile_lib.store import Store
from profile_lib.tables import BEHAVIOUR, EVENTS, USERS
from profile_lib.timeline import midnight

KEY = ["user_id", "cutoff_ts"]
PASTS = "pasts"  # the folder they are kept in
BEFORE = "before"  # the split whose cutoffs' outcomes the ranker's sources may know


def write_pasts(
    store: Store, settings: Settings, model: Served, shop: KnownShop, folder: Path
) -> DataFrame:
    """Profiles as they were at some cutoffs, with what was met within the horizon after each: READ,
    WANTED, the cutoff, its hash and its split, kept in `folder`.

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
    outcomes = met_after(cutoffs, shop.events, shop.numbers, list(given.weights), given.horizon)
    parted = parted_at(cutoffs, midnight(given.ranker_from), given.horizon)
    with kept(parted.join(outcomes, KEY)) as told_after:
        chosen = drawn(told_after, given)
        told = profiles_at(store, settings, model, shop, behaviour.join(chosen.select(*KEY), KEY))
        pasts = written(told.join(chosen, KEY), folder / PASTS)
    n_of = {row["split"]: row["count"] for row in pasts.groupBy("split").count().collect()}
    wanted = (BEFORE, "train", "validation", "test")
    if missing := [split for split in wanted if not n_of.get(split)]:
        raise InputError(
            f"behaviour: no cutoff after which an item was met in {', '.join(missing)}; wanted "
            f"some in each of {', '.join(wanted)}: move recommend.ranker_from, "
            "examples.validation_from or examples.test_from, or lengthen recommend.horizon_hours"
        )
    print("  " + ", ".join(f"{n_of[split]:,} cutoffs {split}" for split in wanted), flush=True)
    return pasts


def profiles_at(
    store: Store, settings: Settings, model: Served, shop: KnownShop, behaviour: DataFrame
) -> DataFrame:
    """(user_id, cutoff_ts) and READ of profiles as they were at the cutoffs of `behaviour`."""
    no_reasons = with_values(settings, {"refresh.n_reasons": 0})
    version = F.lit(shop.versions[EVENTS.name])
    facts = facts_of(behaviour, store.read(USERS), no_reasons, version)
    profiles = profiles_of(facts, no_reasons, model, Counts.on(store.spark.sparkContext))
    return profiles.select("user_id", F.col("as_of_ts").alias("cutoff_ts"), *READ)


def parted_at(cutoffs: DataFrame, ranker_from: datetime, horizon: timedelta) -> DataFrame:
    """Cutoffs of the train split before `ranker_from` are of the split BEFORE; those whose horizon
    reaches beyond it are left out."""
    cutoff, is_train = F.col("cutoff_ts"), F.col("split") == "train"
    split = (
        F.when(~is_train | (cutoff >= F.lit(ranker_from)), F.col("split"))
        .when(cutoff <= F.lit(ranker_from - horizon), BEFORE)
        .otherwise(None)
    )
    return cutoffs.withColumn("split", split).where(F.col("split").isNotNull())


def drawn(cutoffs: DataFrame, given: RecommendSettings) -> DataFrame:
    """With a `row_hash` of user and cutoff; of each split about as many as are wanted, by a draw
    for each hash."""
    n_of = {row["split"]: row["count"] for row in cutoffs.groupBy("split").count().collect()}
    most = dict.fromkeys(n_of, given.test_cutoffs) | {
        BEFORE: given.cutoffs, "train": given.cutoffs
    }  # fmt: skip
    if not n_of:
        return cutoffs.withColumn("row_hash", F.lit(0).cast("long"))  # of none
    share = F.create_map(*[F.lit(x) for split, n in n_of.items() for x in (split, most[split] / n)])
    hashed = cutoffs.withColumn("row_hash", F.xxhash64("user_id", "cutoff_ts"))
    return hashed.where(draw(F.lit(given.seed), "row_hash") < share[F.col("split")])


def written(frame: DataFrame, folder: Path) -> DataFrame:
    """The frame as it was computed, from files."""
    frame.write.parquet(str(folder))
    return frame.sparkSession.read.parquet(str(folder))
