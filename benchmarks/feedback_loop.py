"""Whether the loop closes: what was shown and clicked makes the next lists better.

    python benchmarks/feedback_loop.py --folder FOLDER

A simulated shop whose people are known: a user clicks an item that is looked at, the likelier the
better it suits, which no table tells. After thirty days of events a recommender is fitted; in each
of three rounds it lists items for all users, one list in five in a drawn order; what is shown and
clicked is recorded, six more days of events come in, and it is fitted again, once with that
feedback and once, as a control, without. Told is the click-through rate that each one's lists truly
have, which is computed, not sampled. Writes benchmarks/results/recommend.json. FOLDER is emptied.
"""

import argparse
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from measure import save_result
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from simulated import add_appeal, simulated_shop

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import (
    build_behaviour,
    build_examples,
    fit_recommender,
    ingest_events,
    recommend_items,
    record_feedback,
    refresh_profiles,
    simulate_events,
    train_model,
)
from profile_lib.spark.moments import midnight
from profile_lib.spark.session import start_spark
from profile_lib.tables import EVENTS, IDENTITY, IMPRESSIONS, ITEMS, RECOMMENDATIONS, USERS

FIRST_DAYS, ROUND_DAYS, ROUNDS = 30, 6, 3
SLOTS, EXPLORED_SHARE = 10, 0.2
UNREACHABLE_MIN_CLICKS = 10**9  # clicks: the control never learns of what was shown


def with_split_dates(settings: Settings, until: date) -> Settings:
    """Splits that end at a day: the last two are tested on, the two before choose the epoch."""
    days = {"validation_from": 4, "test_from": 2}
    changes = {f"examples.{n}": str(until - timedelta(days=d)) for n, d in days.items()}
    changes["recommend.ranker_from"] = str(until - timedelta(days=16))
    return with_values(settings, changes)


def examination_probability(slot: Column) -> Column:
    """How likely a slot is looked at."""
    return F.pow(slot, F.lit(-0.7))


def true_ctr(lists: DataFrame) -> float:
    """Of the first SLOTS of all lists, with `appeal`."""
    first = lists.where(F.col("rank") <= SLOTS)
    return float(
        first.agg(F.avg(examination_probability(F.col("rank")) * F.col("appeal"))).collect()[0][0]
    )


def hash_uniform(*parts: object) -> Column:
    """A number from 0 to 1 by hash."""
    columns = [x if isinstance(x, Column) else F.lit(x) for x in parts]
    return F.pmod(F.xxhash64(*columns), F.lit(1_000_000)) / 1_000_000


def record_impressions(store: Store, lists: DataFrame, number: int, from_day: date) -> None:
    """Write what is shown to each user within a day, and the clicks on it."""
    user, item = F.col("user_id"), F.col("item_id")
    of_user = Window.partitionBy("user_id")
    is_drawn = hash_uniform("explored", number, user) < EXPLORED_SHARE
    order = F.when(is_drawn, hash_uniform("order", number, user, item)).otherwise(F.col("rank"))
    begin = F.unix_seconds(F.lit(midnight(str(from_day))))
    ts = F.timestamp_seconds(begin + hash_uniform("when", number, user) * 86_000)
    request = F.concat_ws("-", F.lit(f"round{number}"), user)
    shown = (
        lists.withColumn("slot", F.row_number().over(of_user.orderBy(order)))
        .withColumn("n", F.count("*").over(of_user))
        .where(F.col("slot") <= SLOTS)
        .withColumns(
            {
                "request_id": request,
                "impression_id": F.concat_ws("-", request, "slot"),
                "shown_ts": ts,
                "shown_date": F.to_date(ts),
                "ingest_ts": ts,
                "propensity": EXPLORED_SHARE / F.col("n")
                + F.when(F.col("rank") == F.col("slot"), 1 - EXPLORED_SHARE).otherwise(0.0),
                "is_clicked": hash_uniform("click", number, user, item)
                < examination_probability(F.col("slot")) * F.col("appeal"),
            }
        )
        .localCheckpoint()
    )
    store.append(IMPRESSIONS, with_all_columns(shown, IMPRESSIONS))
    at = F.col("shown_ts") + F.expr("INTERVAL 30 SECONDS")
    clicks = shown.where("is_clicked").withColumns(
        {
            "event_id": F.concat(F.lit("click-"), "impression_id"),
            "event_ts": at,
            "event_date": F.to_date(at),
            "event_type": F.lit("click"),
            "source": F.lit("shown"),
            "ingest_ts": at,
        }
    )
    store.append(EVENTS, with_all_columns(clicks, EVENTS))


def with_all_columns(frame: DataFrame, table: Any) -> DataFrame:
    """The table's columns, null where the frame has none."""
    nulls = {c.name: F.lit(None).cast(c.type) for c in table.columns if c.name not in frame.columns}
    return frame.withColumns(nulls).select(*[F.col(c.name).cast(c.type) for c in table.columns])


def fit_and_list(store: Store, settings: Settings) -> DataFrame:
    """The lists of a recommender that is fitted now, as they stand."""
    fit_recommender.run(store, settings)
    recommend_items.run(store, settings)
    return store.read(RECOMMENDATIONS).localCheckpoint()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/demo.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--folder", required=True)
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    shutil.rmtree(folder, ignore_errors=True)
    settings = with_values(
        load_settings(arguments.config, arguments.set),
        {
            "paths.models": f"{folder}/models", "paths.work": f"{folder}/work",
            "simulate.events_path": f"{folder}/raw/events",
            "simulate.truth_path": f"{folder}/raw/truth",
            "ingest.inputs": {"events": f"{folder}/raw/events", "users": f"{folder}/raw/users"},
            "tracking.uri": None, "quantization.enabled": False,
        },
    )  # fmt: skip
    spark = start_spark(settings.spark, "benchmark")
    whole, store = Store(spark, f"{folder}/all"), Store(spark, f"{folder}/tables")
    for job in (simulate_events, ingest_events):
        job.run(whole, settings)
    for table in (ITEMS, USERS, IDENTITY):
        store.append(table, whole.read(table))
    shop, first = simulated_shop(settings), date.fromisoformat(settings.simulate.first_day)
    day, before, rounds = first + timedelta(days=FIRST_DAYS), first, []
    for number in range(ROUNDS + 1):
        ts = F.col("event_ts")
        new = (ts >= F.lit(midnight(str(before)))) & (ts < F.lit(midnight(str(day))))
        store.append(EVENTS, whole.read(EVENTS).where(new))
        now = with_split_dates(settings, day)
        build_behaviour.run(store, now)
        if number:
            record_feedback.run(store, now)
        else:
            build_examples.run(store, now)
            train_model.run(store, now)
        refresh_profiles.run(store, now)
        ctr = {}
        for way, least in (("without_feedback", UNREACHABLE_MIN_CLICKS), ("with_feedback", None)):
            chosen = with_values(now, {"recommend.min_clicks": least} if least else {})
            lists = add_appeal(fit_and_list(store, chosen), store.read(IDENTITY), shop)
            lists = lists.localCheckpoint()
            ctr[way] = round(true_ctr(lists), 5)
        rounds.append(ctr)
        print(number, ctr, flush=True)
        if number < ROUNDS:
            record_impressions(store, lists, number, day)
        before, day = day, day + timedelta(days=ROUND_DAYS)
    save_result(
        "recommend", "feedback loop", {"users": settings.simulate.n_users, "true_ctr": rounds}
    )


if __name__ == "__main__":
    main()
