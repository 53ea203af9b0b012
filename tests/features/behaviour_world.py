"""Build behaviour of a few events and three items with known numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession

from profile_lib.features.as_of import build_histories_as_of
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.catalog_words import project_catalog
from profile_lib.features.histories import HistoryLimits
from profile_lib.tables import EVENTS, ITEMS

WEIGHTS = {"view": 1, "cart": 4, "purchase": 6, "search": 1, "share": 2, "page": 0}
LIMITS = HistoryLimits(max_events=512, days=730, max_purchase_lines=512)
CATALOG = (
    ("mug", "blue mug", "drinkware", "acme", 10.0, 0.8, ["blue", "mug"], ["blue", "mug"]),
    ("tee", "blue tee", "apparel", "acme", 20.0, 0.2, ["blue", "tee"], ["blue", "tee"]),
    ("pen", "pen", "office", None, 1.0, None, ["pen"], ["pen"]),
)


def event(user: str, ts: datetime, kind: str, item: str | None = None, **values: object) -> dict:
    """Return one event that came when it happened, with more columns from `values`."""
    keys = {"event_id": f"{user}{ts.isoformat()}{kind}{item}", "user_id": user}
    times = {"event_ts": ts, "event_date": ts.date(), "ingest_ts": ts, "load_date": ts.date()}
    return keys | times | {"event_type": kind, "item_id": item, "source": "s"} | values


def event_rows(spark: SparkSession, events: list[dict]) -> DataFrame:
    """Return events as a frame with the declared columns; missing values are null."""
    names = EVENTS.column_names()
    return spark.createDataFrame([tuple(e.get(n) for n in names) for e in events], EVENTS.schema)


def build(
    spark: SparkSession,
    events: list[dict],
    *cutoffs: tuple[str, datetime],
    time_zone: str = "UTC",
    catalog: Sequence[tuple] = CATALOG,
    limits: HistoryLimits = LIMITS,
) -> DataFrame:
    """Build behaviour at (user_id, cutoff_ts), with a half-life of a day."""
    pairs = spark.createDataFrame(list(cutoffs), "user_id string, cutoff_ts timestamp")
    return build_behaviour(
        build_histories_as_of(event_rows(spark, events), pairs, limits),
        project_catalog(spark.createDataFrame(list(catalog), ITEMS.schema)),
        gap=timedelta(minutes=30), half_life=timedelta(days=1), weights=WEIGHTS,
        max_interests=3, max_recent=4, time_zone=time_zone,
    )  # fmt: skip
