"""Measure whether recorded impressions and clicks make the next lists better.

    python -m benchmarks.feedback_loop --folder FOLDER

In the simulated shop, the better an item suits a user, the more likely the user clicks it when
looking at it; no table records how well it suits. A recommender is fitted after thirty days of
events. In each of three rounds it lists items for all users, one list in five in random order;
impressions and clicks are recorded, six more days of events arrive, and it is fitted again: once
with that feedback, and once without as a control. The click-through rate of the lists of both is
computed from the truth, not sampled. FOLDER is emptied. Writes
benchmarks/results/feedback_loop.json.
"""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from benchmarks.measure import make_parser, save_result, settings_in_folder
from benchmarks.true_appeal import add_appeal, simulated_shop
from profile_lib.config.settings import Settings, with_values
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
from profile_lib.spark.session import start_spark
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import EVENTS, IDENTITY, IMPRESSIONS, ITEMS, RECOMMENDATIONS, USERS

FIRST_DAYS, ROUND_DAYS, ROUNDS = 30, 6, 3
SLOTS, EXPLORED_SHARE = 10, 0.2
UNREACHABLE_MIN_CLICKS = 10**9  # never reached, so the control does not use impressions


def with_split_dates(settings: Settings, end: date) -> Settings:
    """Set splits that end before a day: two days to test on, and the two before to validate."""
    days = {"validation_from": 4, "test_from": 2}
    changes = {f"examples.{n}": str(end - timedelta(days=d)) for n, d in days.items()}
    changes["recommend.ranker_from"] = str(end - timedelta(days=16))
    return with_values(settings, changes)


def examination_probability(slot: Column) -> Column:
    """The probability that a user looks at a slot."""
    return F.pow(slot, F.lit(-0.7))


def true_ctr(lists: DataFrame) -> float:
    """The expected click-through rate of the first SLOTS of lists with `appeal`."""
    first = lists.where(F.col("rank") <= SLOTS)
    return float(
        first.agg(F.avg(examination_probability(F.col("rank")) * F.col("appeal"))).collect()[0][0]
    )


def hash_uniform(*parts: object) -> Column:
    """A pseudo-random number from 0 to 1 by a hash of the parts."""
    columns = [x if isinstance(x, Column) else F.lit(x) for x in parts]
    return F.pmod(F.xxhash64(*columns), F.lit(1_000_000)) / 1_000_000


def record_impressions(store: Store, lists: DataFrame, number: int, from_day: date) -> None:
    """Record the impressions of each user within a day, and the clicks on them."""
    user, item = F.col("user_id"), F.col("item_id")
    per_user = Window.partitionBy("user_id")
    is_shuffled = hash_uniform("explored", number, user) < EXPLORED_SHARE
    order = F.when(is_shuffled, hash_uniform("order", number, user, item)).otherwise(F.col("rank"))
    start = F.unix_seconds(F.lit(midnight(str(from_day))))
    ts = F.timestamp_seconds(start + hash_uniform("when", number, user) * 86_000)
    request = F.concat_ws("-", F.lit(f"round{number}"), user)
    shown = (
        lists.withColumn("slot", F.row_number().over(per_user.orderBy(order)))
        .withColumn("n", F.count("*").over(per_user))
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
    clicked_ts = F.col("shown_ts") + F.expr("INTERVAL 30 SECONDS")
    clicks = shown.where("is_clicked").withColumns(
        {
            "event_id": F.concat(F.lit("click-"), "impression_id"),
            "event_ts": clicked_ts,
            "event_date": F.to_date(clicked_ts),
            "event_type": F.lit("click"),
            "source": F.lit("shown"),
            "ingest_ts": clicked_ts,
            "load_date": F.to_date(clicked_ts),
        }
    )
    store.append(EVENTS, with_all_columns(clicks, EVENTS))


def with_all_columns(frame: DataFrame, table: Any) -> DataFrame:
    """Select the table's columns, null if the frame lacks one."""
    nulls = {c.name: F.lit(None).cast(c.type) for c in table.columns if c.name not in frame.columns}
    return frame.withColumns(nulls).select(*[F.col(c.name).cast(c.type) for c in table.columns])


def fit_and_list(store: Store, settings: Settings) -> DataFrame:
    """Fit a recommender and return its lists."""
    fit_recommender.run(store, settings)
    recommend_items.run(store, settings)
    return store.read(RECOMMENDATIONS).localCheckpoint()


def start_shop(settings: Settings, folder: Path) -> tuple[Store, Store]:
    """Simulate the shop; return the store of all its events, and the one that events arrive in."""
    spark = start_spark(settings.spark, "benchmark")
    complete, store = (
        Store(spark, f"{folder}/all"),
        Store(spark, settings.paths.tables, settings.paths.identity),
    )
    simulate_events.run(complete, settings)
    ingest_events.run(complete, settings, now=datetime.now(UTC))
    for table in (ITEMS, USERS, IDENTITY):
        store.append(table, complete.read(table))
    return complete, store


def prepare_round(store: Store, settings: Settings, number: int) -> None:
    """Bring profiles up to date; the first round trains the model, others record feedback."""
    build_behaviour.run(store, settings)
    if number:
        record_feedback.run(store, settings)
    else:
        build_examples.run(store, settings)
        train_model.run(store, settings)
    refresh_profiles.run(store, settings, now=datetime.now(UTC))


def main() -> None:
    """Run the rounds and save the click-through rates."""
    parser = make_parser(__doc__, config="conf/demo.yaml", folder_help="is emptied")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    shutil.rmtree(folder, ignore_errors=True)
    quick = ("tracking.uri=null", "quantization.enabled=false")
    settings, _ = settings_in_folder(folder, arguments.config, *arguments.set, *quick)
    complete, store = start_shop(settings, folder)
    shop, first = simulated_shop(settings), date.fromisoformat(settings.simulate.first_day)
    start, end = first, first + timedelta(days=FIRST_DAYS)
    methods = {"without_feedback": UNREACHABLE_MIN_CLICKS, "with_feedback": None}
    rates: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(ROUNDS + 1):
        ts = F.col("event_ts")
        new = (ts >= F.lit(midnight(str(start)))) & (ts < F.lit(midnight(str(end))))
        store.append(EVENTS, complete.read(EVENTS).where(new))
        round_settings = with_split_dates(settings, end)
        prepare_round(store, round_settings, number)
        for name, min_clicks in methods.items():
            changes = {"recommend.min_clicks": min_clicks} if min_clicks else {}
            lists = fit_and_list(store, with_values(round_settings, changes))
            lists = add_appeal(lists, store.read(IDENTITY), shop).localCheckpoint()
            rates[name].append(round(true_ctr(lists), 5))
            print(number, name, rates[name][-1], flush=True)
        if number < ROUNDS:
            record_impressions(store, lists, number, end)
        start, end = end, end + timedelta(days=ROUND_DAYS)
    result = {"users": settings.simulate.n_users, "true_ctr_by_round": rates}
    save_result("feedback_loop", Path(arguments.config).stem, result)


if __name__ == "__main__":
    main()
