"""Log impressions in a shop, and check the lists of its recommender."""

from datetime import timedelta

from pyspark.sql import Window
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import recommend_items, record_feedback
from profile_lib.recommend.serving.recommender import ListRules
from profile_lib.recommend.serving.server import RecommendationServer
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import EVENTS, FEEDBACK, IMPRESSIONS, RECOMMENDATIONS, USER_PROFILES


def log_impressions_of_views(store: Store, settings: Settings) -> int:
    """Log an impression before each view in the ranker's period, and record the feedback.

    Another item is shown in the slot below, and that impression causes no click. Returns the
    number of clicked impressions.
    """
    ts, slot = F.col("event_ts"), F.pmod(F.xxhash64("event_id"), F.lit(3)).cast("int") + 1
    begin = midnight(settings.recommend.ranker_from)
    end = midnight(settings.examples.validation_from) - timedelta(hours=25)
    views = store.read(EVENTS).where("event_type = 'view' AND item_id IS NOT NULL")
    in_time = views.where((ts >= F.lit(begin)) & (ts < F.lit(end)))
    other = F.lead("item_id", 5).over(Window.orderBy("event_id"))
    pair = F.array(
        F.struct(F.col("item_id").alias("shown"), slot.alias("slot")),
        F.struct(F.col("other").alias("shown"), (slot + 1).alias("slot")),
    )
    two_per_view = in_time.withColumn("other", other).withColumn("pair", F.explode(pair))
    shown = two_per_view.select("*", "pair.*").drop("item_id").where("shown IS NOT NULL")
    before = ts - F.expr("INTERVAL 1 SECOND")
    impressions = shown.withColumns(
        {
            "impression_id": F.concat_ws("-", "event_id", "slot"),
            "request_id": F.col("event_id"),
            "item_id": F.col("shown"),
            "shown_ts": before,
            "shown_date": F.to_date(before),
            "sources": F.array(F.lit("popular")),
            "model_version": F.lit("m-1"),
            "ingest_ts": before,
        }
    )
    nulls = {c.name: F.lit(None).cast(c.type) for c in IMPRESSIONS.columns}
    missing = {name: null for name, null in nulls.items() if name not in impressions.columns}
    rows = impressions.withColumns(missing).select(*IMPRESSIONS.column_names())
    store.append(IMPRESSIONS, rows)
    record_feedback.run(store, settings)
    return store.read(FEEDBACK).where("is_clicked").count()


def assert_every_user_has_a_valid_list(store: Store, settings: Settings) -> None:
    """Check that each user has a list of different items with reasons.

    An item that was bought is listed only if `buy_again` proposes it.
    """
    lists, profiles = store.read(RECOMMENDATIONS), store.read(USER_PROFILES)
    per_user = lists.groupBy("user_id").agg(
        F.count("*").alias("n"),
        F.max("rank").alias("last_rank"),
        F.countDistinct("item_id").alias("n_items"),
    )
    assert per_user.count() == profiles.count()
    assert per_user.where("n != last_rank OR n != n_items OR n > 20").isEmpty()
    assert lists.where("size(sources) = 0 OR reasons[0].text IS NULL OR isnan(score)").isEmpty()
    recent = profiles.select("user_id", F.explode("recent").alias("event"))
    bought = recent.where("event.event_type = 'purchase'").select("user_id", "event.item_id")
    by_others = lists.where(~F.array_contains("sources", "buy_again"))
    assert by_others.join(bought, ["user_id", "item_id"]).isEmpty()


def assert_only_changed_users_are_refreshed(store: Store, settings: Settings) -> None:
    """Check that a run writes nothing but the lists of changed users."""
    version = store.version(RECOMMENDATIONS)
    recommend_items.run(store, settings)
    assert store.version(RECOMMENDATIONS) == version
    first = store.read(USER_PROFILES).orderBy("user_id").limit(1)
    (user,) = [row["user_id"] for row in first.collect()]
    changed = first.withColumn("n_sessions", F.col("n_sessions") + 5)
    store.upsert(USER_PROFILES, changed.localCheckpoint())
    recommend_items.run(store, settings)
    newest = store.read(RECOMMENDATIONS).where(
        F.col("profiles_version") == store.version(USER_PROFILES)
    )
    assert {row["user_id"] for row in newest.select("user_id").distinct().collect()} == {user}


def assert_ineligible_items_are_unlisted(store: Store, settings: Settings) -> None:
    """Check that an item leaves all lists once the rules exclude it."""
    counts = store.read(RECOMMENDATIONS).groupBy("item_id").count()
    item = counts.orderBy(F.desc("count")).first()["item_id"]
    stricter = with_values(settings, {"recommend.eligible": f"item_id != '{item}'"})
    recommend_items.run(store, stricter)
    assert store.read(RECOMMENDATIONS).where(F.col("item_id") == item).isEmpty()


def assert_server_agrees_with_table(store: Store, settings: Settings) -> None:
    """Check that a server lists for single users what the table holds."""
    recommend = settings.recommend
    rules = ListRules(**recommend.lists.model_dump())
    folder = f"{settings.paths.models}/{recommend.name}"
    server = RecommendationServer.load(folder, recommend.task_weights, rules)
    for row in store.read(USER_PROFILES).orderBy("user_id").limit(3).collect():
        profile = row.asDict(recursive=True)
        stored = store.read(RECOMMENDATIONS).where(F.col("user_id") == profile["user_id"])
        items = [r["item_id"] for r in stored.orderBy("rank").collect()]
        assert [r["item_id"] for r in server.recommend(profile)] == items
