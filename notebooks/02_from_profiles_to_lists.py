# Databricks notebook source
# MAGIC %md
# MAGIC # From profiles to lists and segments
# MAGIC The profiles of the first notebook serve recommendations with reasons, search results in the order
# MAGIC that suits the user, and segments. The notebook runs unchanged on a laptop
# MAGIC (`.venv/bin/python notebooks/02_from_profiles_to_lists.py`, after the first notebook) and on
# MAGIC Databricks. The environment variable `PROFILE_CONFIG` names the settings file; the default is
# MAGIC `demo`.

# COMMAND ----------

import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
from pyspark.sql import functions as F

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.logs import configure_logging
from profile_lib.pipelines import fit_recommender, recommend_items, segment_users
from profile_lib.profiles.card import format_profile_card
from profile_lib.recommend.serving.recommender import ListRules
from profile_lib.recommend.serving.server import RecommendationServer
from profile_lib.spark.session import start_spark
from profile_lib.tables import CLUSTERS, ITEMS, RECOMMENDATIONS, USER_PROFILES, USER_SEGMENTS

settings = load_settings(os.environ.get("PROFILE_CONFIG", "demo"))
configure_logging("from_profiles_to_lists", settings.logging.format)
spark = start_spark(settings.spark, "from_profiles_to_lists")
store = Store(
    spark, settings.paths.tables, settings.paths.identity, **settings.store.model_dump()
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The recommender
# MAGIC Several sources propose candidates, and a model ranks them. The chart shows per source how many of
# MAGIC the relevant items, those with a later interaction, were among its candidates.

# COMMAND ----------

fit_recommender.run(store, settings)

folder = Path(settings.paths.models) / settings.recommend.name
candidates = json.loads((folder / "report.json").read_text())["candidates"]

figure, axes = plt.subplots(figsize=(7, 4))
axes.barh(list(candidates), [source["recall"] for source in candidates.values()])
axes.set_title("Items with a later interaction that were among the candidates")
axes.set_xlabel("share")
figure.tight_layout()
plt.show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Lists
# MAGIC The table `recommendations` has one row per user and rank, with the sources that proposed the item
# MAGIC and the reasons.

# COMMAND ----------

recommend_items.run(store, settings)

lists, titles = store.read(RECOMMENDATIONS), store.read(ITEMS).select("item_id", "title")
by_source = (
    lists.where("rank <= 5")
    .select(F.explode("sources").alias("source"))
    .groupBy("source")
    .count()
    .orderBy("count")
    .toPandas()
)

figure, axes = plt.subplots(figsize=(7, 4))
axes.barh(by_source["source"], by_source["count"])
axes.set_title("Sources of the first five items")
axes.set_xlabel("items in all lists")
figure.tight_layout()
plt.show()

# COMMAND ----------

profiles = store.read(USER_PROFILES).where(F.size("recent") >= 5)
profile = profiles.orderBy("user_id").first().asDict(recursive=True)
print(format_profile_card(profile))
user_list = lists.where(F.col("user_id") == profile["user_id"]).join(titles, "item_id").orderBy("rank")
for row in user_list.limit(5).collect():
    print(f"{row['rank']:>2} {row['title'] or row['item_id']}: {row['reasons'][0]['text']}")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Serving a single user
# MAGIC A server makes the same list for a single user without a Spark job, and reorders search results to
# MAGIC suit the user.

# COMMAND ----------

rules = ListRules(**settings.recommend.lists.model_dump())
server = RecommendationServer.load(str(folder), settings.recommend.task_weights, rules)
listed = [row["item_id"] for row in server.recommend(profile)]
results = sorted(listed)[:10]
print(server.rerank(profile, "", results, personalisation=0.5))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Segments
# MAGIC RFM segments group users by recency, frequency and monetary value, clusters by their interests.

# COMMAND ----------

segment_users.run(store, settings)

by_segment = store.read(USER_SEGMENTS).groupBy("rfm_segment").count().orderBy("count").toPandas()

figure, axes = plt.subplots(figsize=(7, 4))
axes.barh(by_segment["rfm_segment"], by_segment["count"])
axes.set_title("Users by RFM segment")
axes.set_xlabel("users")
figure.tight_layout()
plt.show()

for row in store.read(CLUSTERS).where("NOT is_retired").orderBy("cluster_id").collect():
    print(f"cluster {row['cluster_id']}: {row['n_users']} users, {row['description']}")
