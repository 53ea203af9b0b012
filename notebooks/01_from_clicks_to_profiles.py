# Databricks notebook source
# MAGIC %md
# MAGIC # From clicks to profiles
# MAGIC The core jobs, one per section, with a look at what each of them wrote. The notebook runs unchanged
# MAGIC on a laptop (`.venv/bin/python notebooks/01_from_clicks_to_profiles.py`) and on Databricks. The
# MAGIC environment variable `PROFILE_CONFIG` names the settings file; the default is `demo`.

# COMMAND ----------

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
from pyspark.sql import functions as F

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.logs import configure_logging
from profile_lib.pipelines import (
    build_behaviour,
    build_examples,
    build_sessions,
    ingest_events,
    refresh_profiles,
    simulate_events,
    train_model,
)
from profile_lib.profiles.card import format_profile_card
from profile_lib.spark.session import start_spark
from profile_lib.tables import EVENTS, EXAMPLES, REJECTED_EVENTS, SESSIONS, USER_PROFILES
from profile_lib.training.evaluation.report import format_report

settings = load_settings(os.environ.get("PROFILE_CONFIG", "demo"))
configure_logging("from_clicks_to_profiles", settings.logging.format)
spark = start_spark(settings.spark, "from_clicks_to_profiles")
store = Store(
    spark, settings.paths.tables, settings.paths.identity, **settings.store.model_dump()
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## A simulated shop, its events, and the rows that cleaning rejects

# COMMAND ----------

simulate_events.run(store, settings)
ingest_events.run(store, settings, now=datetime.now(UTC))

by_kind = store.read(EVENTS).groupBy("event_type").count().orderBy(F.desc("count")).toPandas()
reasons = (
    store.read(REJECTED_EVENTS)
    .select(F.explode("reasons").alias("reason"))
    .groupBy(F.regexp_replace("reason", ":.*", "").alias("reason"))
    .count()
    .orderBy(F.desc("count"))
    .limit(10)
    .toPandas()
)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
left.barh(by_kind["event_type"], by_kind["count"])
left.set_title("Events by kind")
left.set_xlabel("events")
right.barh(reasons["reason"], reasons["count"])
right.set_title("Rejected rows by reason")
right.set_xlabel("rows")
figure.tight_layout()
plt.show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Sessions
# MAGIC A session is a user's events without a gap of more than half an hour (`sessions.gap_minutes`).

# COMMAND ----------

build_sessions.run(store, settings)

sizes = store.read(SESSIONS).groupBy("n_events").count().orderBy("n_events").toPandas()

figure, axes = plt.subplots(figsize=(7, 4))
axes.bar(sizes["n_events"], sizes["count"])
axes.set_title("Sessions by their number of events")
axes.set_xlabel("events in the session")
axes.set_ylabel("sessions")
plt.show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC An example holds the behaviour of a user as of a cutoff, and labels from the horizon after it. The
# MAGIC longest of the texts that the encoder reads is printed below.

# COMMAND ----------

build_behaviour.run(store, settings)
build_examples.run(store, settings)

by_split = (
    store.read(EXAMPLES)
    .groupBy("split")
    .agg(F.count("*").alias("examples"), F.avg("buys").alias("share that buys"))
    .toPandas()
)
print(by_split.to_string(index=False))
print(store.read(EXAMPLES).select("text").orderBy(F.desc("n_tokens")).first()["text"])

# COMMAND ----------

# MAGIC %md
# MAGIC ## The model
# MAGIC Horovod fine-tunes the model on the workers. The model's folder holds a report, which compares it
# MAGIC with baselines on the test split.

# COMMAND ----------

train_model.run(store, settings)

report = json.loads(
    (Path(settings.paths.models) / settings.training.name / "report.json").read_text()
)
print("\n".join(format_report(report["tasks"])))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Profiles
# MAGIC A refresh computes the profiles of users whose data changed; the first one computes all. Three of
# MAGIC them are printed below.

# COMMAND ----------

refresh_profiles.run(store, settings, now=datetime.now(UTC))

profiles = store.read(USER_PROFILES)
probability = F.floor(F.col("propensities")["buys"] * 40) / 40
probabilities = profiles.groupBy(probability.alias("probability")).count().toPandas()
by_segment = profiles.groupBy("segment").count().orderBy(F.desc("count")).toPandas()

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
left.bar(probabilities["probability"], probabilities["count"], width=1 / 40, align="edge")
left.set_yscale("log")
left.set_title("Probability of a purchase within the horizon")
left.set_xlabel("probability")
left.set_ylabel("users")
right.barh(by_segment["segment"], by_segment["count"])
right.set_title("Users by segment")
right.set_xlabel("users")
figure.tight_layout()
plt.show()

# COMMAND ----------

for profile in profiles.where(F.size("recent") >= 5).orderBy("user_id").limit(3).collect():
    print(format_profile_card(profile.asDict(recursive=True)))
