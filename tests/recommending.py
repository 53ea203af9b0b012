"""What is shown to the users of a shop, and what is to hold of its recommender's lists."""

from datetime import timedelta

from pyspark.sql import Window
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import recommend_items, record_feedback
from profile_lib.recommend.serving.recommender import ListRules
from profile_lib.recommend.serving.server import RecommendationServer
from profile_lib.spark.moments import midnight
from profile_lib.tables import EVENTS, FEEDBACK, IMPRESSIONS, RECOMMENDATIONS, USER_PROFILES


def log_impressions_of_views(store: Store, settings: Settings) -> int:
    """Log that each item viewed in the ranker's time was shown just before, with another one below
    it that nobody asked for, and record what came of both; how many were clicked."""
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
    two = in_time.withColumn("other", other).withColumn("pair", F.explode(pair))
    told = two.select("*", "pair.*").drop("item_id")
    before = ts - F.expr("INTERVAL 1 SECOND")
    told = told.where("shown IS NOT NULL").withColumns(
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
    missing = {name: null for name, null in nulls.items() if name not in told.columns}
    store.append(IMPRESSIONS, told.withColumns(missing).select(*IMPRESSIONS.column_names()))
    record_feedback.run(store, settings)
    return store.read(FEEDBACK).where("is_clicked").count()


def assert_every_user_has_a_valid_list(store: Store, settings: Settings) -> None:
    """Every user has a list, best first, from 1 on, of different items, each with a reason."""
    lists, profiles = store.read(RECOMMENDATIONS), store.read(USER_PROFILES)
    of_user = lists.groupBy("user_id").agg(
        F.count("*").alias("n"),
        F.max("rank").alias("last"),
        F.countDistinct("item_id").alias("items"),
    )
    assert of_user.count() == profiles.count()
    assert of_user.where("n != last OR n != items OR n > 20").isEmpty()
    assert lists.where("size(sources) = 0 OR reasons[0].text IS NULL OR isnan(score)").isEmpty()
    bought = profiles.select("user_id", F.explode("recent").alias("act")).where(
        "act.event_type = 'purchase'"
    )
    again = lists.where(~F.array_contains("sources", "buy_again"))
    both = again.join(
        bought.select("user_id", F.col("act.item_id").alias("item_id")), ["user_id", "item_id"]
    )
    assert both.isEmpty()


def assert_only_changed_users_are_refreshed(store: Store, settings: Settings) -> None:
    """Where nothing changed nothing is written; where a profile did, that user's list alone is."""
    version = store.version(RECOMMENDATIONS)
    recommend_items.run(store, settings)
    assert store.version(RECOMMENDATIONS) == version
    changed = store.read(USER_PROFILES).orderBy("user_id").limit(1)
    (user,) = [row["user_id"] for row in changed.collect()]
    more = changed.withColumn("n_sessions", F.col("n_sessions") + 5)
    store.upsert(USER_PROFILES, more.localCheckpoint())
    recommend_items.run(store, settings)
    newest = store.read(RECOMMENDATIONS).where(
        F.col("profiles_version") == store.version(USER_PROFILES)
    )
    assert {row["user_id"] for row in newest.select("user_id").distinct().collect()} == {user}


def assert_ineligible_items_are_unlisted(store: Store, settings: Settings) -> None:
    """What is no longer offered is listed for nobody, once the rules say so."""
    (item,) = (
        store.read(RECOMMENDATIONS).groupBy("item_id").count().orderBy(F.desc("count")).first()[:1]
    )
    given = with_values(settings, {"recommend.eligible": f"item_id != '{item}'"})
    recommend_items.run(store, given)
    assert store.read(RECOMMENDATIONS).where(F.col("item_id") == item).isEmpty()


def assert_server_agrees_with_table(store: Store, settings: Settings) -> None:
    """A user who is asked for alone gets the list that stands in the table."""
    given = settings.recommend
    rules = ListRules(**given.lists.model_dump())
    server = RecommendationServer.load(
        f"{settings.paths.models}/{given.name}", given.task_weights, rules
    )
    for row in store.read(USER_PROFILES).orderBy("user_id").limit(3).collect():
        profile = row.asDict(recursive=True)
        stored = store.read(RECOMMENDATIONS).where(F.col("user_id") == profile["user_id"])
        listed = [r["item_id"] for r in stored.orderBy("rank").collect()]
        assert [r["item_id"] for r in server.recommend(profile)] == listed
