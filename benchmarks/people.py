"""Measure how well the ids of a simulated shop's people are linked.

    python -m benchmarks.people --config conf/demo.yaml

For each of three seeds, simulates a shop whose people have 2.5 devices on average, some of them
shared, log in within visits, log out and lose cookies, and ingests it. Writes
benchmarks/results/people.json: pairwise precision and recall over events, and the seconds in which
`people` is computed from all links.

A pair of events is right if one person made both. Precision is the share of right pairs among
pairs with one linked person, over the events that are linked to a login. Recall is the share of
pairs with one linked person among right pairs of knowable events. An event is knowable if it has a
login; if its device or cookie has one in any event, and one person alone uses it; or if several
people use it, and the visit of the event has a login. Events of an id without a link count as those
of one person in the recall. The anonymous measures count single events without a login: those that
are linked to the right person, among all that are linked, and among all that are knowable.
"""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.measure import (
    make_parser,
    open_store,
    save_result,
    settings_in_folder,
    summarise_repeats,
    time_call,
)
from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.people.persons import add_person
from profile_lib.pipelines import ingest_events, simulate_events
from profile_lib.pipelines.link_people import rebuild_people
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import EVENTS, IDENTITY, IDENTITY_LINKS, PEOPLE

SEEDS = (1, 2, 3)
SHOP = {
    "n_users": 1000, "devices_per_person": 2.5, "shared_share": 0.3, "logout_share": 0.2,
    "anonymous_share": 0.25, "dirt_share": 0, "bots_share": 0,
}  # fmt: skip
CARRIERS = {"device": "installation", "anonymous": "cookie"}


def measure_seed(config: str, seed: int) -> dict[str, float]:
    """Simulate, ingest and measure one shop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = [f"simulate.{key}={value}" for key, value in SHOP.items()]
        mapping = f"ingest.mapping={_write_mapping(folder, load_settings(config))}"
        settings, _ = settings_in_folder(folder, config, f"simulate.seed={seed}", *shop, mapping)
        store = open_store(settings)
        simulate_events.run(store, settings)
        ingest_events.run(store, settings, now=midnight("2026-06-01"))
        seconds = time_call(rebuild_people, store, settings.people)
        return {
            **measure_pairs(_join_truth(store, _read_truth(store.spark, settings))),
            "links": store.read(IDENTITY_LINKS).count(),
            "ids_linked": store.read(PEOPLE).select("user_id").distinct().count(),
            "resolve_seconds": seconds,
        }


def _write_mapping(folder: Path, settings: Settings) -> Path:
    mapping = yaml.safe_load(Path(settings.ingest.mapping).read_text(encoding="utf-8"))
    mapping["columns"] |= {f"{kind}_id": column for kind, column in CARRIERS.items()}
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    return path


def _read_truth(spark: SparkSession, settings: Settings) -> DataFrame:
    """Return space, raw_id, event_ts, person and is_knowable of each event."""
    raw = spark.read.json(settings.simulate.events_path)
    events = raw.join(spark.read.parquet(f"{settings.simulate.truth_path}/events"), "event_id")
    raw_id = F.coalesce("uid", *CARRIERS.values())
    space = F.when(F.col("uid").isNotNull(), "simulated")
    for kind, column in CARRIERS.items():
        space = space.when(F.col(column).isNotNull(), f"simulated:{kind}")
    events = events.withColumns({"raw_id": raw_id, "space": space})
    in_visit = F.count("uid").over(Window.partitionBy("person", "visit")) > 0
    is_knowable = F.col("uid").isNotNull()
    for column in CARRIERS.values():
        of_id = Window.partitionBy(column)
        is_own = F.min("person").over(of_id) == F.max("person").over(of_id)
        has_login = F.count("uid").over(of_id) > 0
        explains = F.when(is_own, has_login).otherwise(in_visit)
        is_knowable |= (F.col("raw_id") == F.col(column)) & explains
    return events.select(
        "space", "raw_id", F.col("time").cast("timestamp").alias("event_ts"), "person",
        is_knowable.alias("is_knowable"), F.col("uid").isNull().alias("is_anonymous"),
    ).distinct()  # fmt: skip


def _join_truth(store: Store, truth: DataFrame) -> DataFrame:
    """Return the found and the true person of each event."""
    names = store.read(IDENTITY).withColumnRenamed("source", "space")
    found = add_person(store.read(EVENTS), store.read(PEOPLE)).join(names, "user_id")
    logins = names.where("space = 'simulated'").select(
        F.col("user_id").alias("person_id"), F.col("raw_id").alias("login")
    )
    found = found.join(logins, "person_id", "left")
    columns = ("space", "raw_id", "event_ts", "person_id", "login")
    return found.select(*columns).join(truth, ["space", "raw_id", "event_ts"])


def measure_pairs(events: DataFrame) -> dict[str, float]:
    """Return pairwise precision and recall, and shares of events."""
    is_linked, is_knowable = F.col("login").isNotNull(), F.col("is_knowable")
    cells = events.groupBy("person_id", "person").agg(
        F.count_if(is_linked).alias("linked"), F.count_if(is_knowable).alias("knowable"),
        F.count("*").alias("all"),
    )  # fmt: skip
    sums = {}
    for name, key in (("right", ()), ("found", ("person_id",)), ("true", ("person",))):
        grouped = (
            cells
            if not key
            else cells.groupBy(*key).agg(
                *(F.sum(n).alias(n) for n in ("linked", "knowable", "all"))
            )
        )
        row = grouped.agg(
            *(F.sum(_pairs(F.col(n))).alias(n) for n in ("linked", "knowable", "all"))
        ).first()
        assert row is not None
        sums[name] = row
    is_right = F.coalesce(F.col("login") == F.col("person"), F.lit(False))
    anonymous = {
        name: events.where(F.col("is_anonymous") & among).agg(F.avg(is_right.cast("int"))).first()
        for name, among in (("precision", is_linked), ("recall", is_knowable))
    }
    flags = (is_linked, is_knowable, F.col("is_anonymous"))
    shares = events.agg(*(F.avg(flag.cast("int")) for flag in flags)).first()
    assert shares is not None
    return {
        "precision": sums["right"]["linked"] / sums["found"]["linked"],
        "recall": sums["right"]["knowable"] / sums["true"]["knowable"],
        "precision_of_all_events": sums["right"]["all"] / sums["found"]["all"],
        "recall_of_all_events": sums["right"]["all"] / sums["true"]["all"],
        **{f"anonymous_{name}": row[0] for name, row in anonymous.items()},
        "linked_share": shares[0],
        "knowable_share": shares[1],
        "anonymous_share": shares[2],
    }


def _pairs(n: Column) -> Column:
    return n * (n - 1) / 2


def main() -> None:
    """Measure all seeds and save the spread."""
    arguments = make_parser(__doc__, config="conf/demo.yaml").parse_args()
    runs = [measure_seed(arguments.config, seed) for seed in SEEDS]
    result: dict[str, Any] = {n: summarise_repeats([run[n] for run in runs]) for n in runs[0]}
    save_result("people", "simulated", {"people": SHOP["n_users"], **result})


if __name__ == "__main__":
    main()
