"""Write the receipts of erasures, and verify what they say."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.spark.hadoop_files import file_exists
from profile_lib.tables import ERASURE_RECEIPTS, TABLES

Place = tuple[str, str, int | None, str | None]  # place, kind, n_bytes, action
TABLES_BY_NAME = {table.name: table for table in TABLES}


def write_receipts(store: Store, receipts: DataFrame, update: bool = False) -> None:
    """Add receipts; columns that the frame lacks are null."""
    store.upsert(ERASURE_RECEIPTS, ERASURE_RECEIPTS.fill(receipts), update=update)


def write_places(store: Store, people: DataFrame, places: Sequence[Place]) -> None:
    """Add a receipt per request and place, whose rows are not counted."""
    if not places:
        return
    schema = "place string, kind string, n_bytes long, action string"
    rows = store.spark.createDataFrame(list(places), schema)
    write_receipts(store, people.select("request").distinct().crossJoin(rows))


def write_table_receipts(store: Store, people: DataFrame, names: Sequence[str]) -> None:
    """Write a receipt per request and table: the sums of those of its files."""
    tables = store.spark.createDataFrame([(name,) for name in names], "place string")
    requests = people.select("request").distinct()
    files = store.read_or_empty(ERASURE_RECEIPTS).where("kind = 'file'")
    sums = files.groupBy("request", F.substring_index("place", "/", 1).alias("place")).agg(
        F.sum("n_rows").alias("n_rows"), F.sum("n_bytes").alias("n_bytes")
    )
    rows = requests.crossJoin(tables).join(sums, ["request", "place"], "left")
    counts = {name: F.coalesce(name, F.lit(0)).cast("long") for name in ("n_rows", "n_bytes")}
    write_receipts(store, rows.withColumns(counts).withColumn("kind", F.lit("table")), update=True)


def set_gone_time(store: Store, requests: DataFrame, grace_hours: float) -> None:
    """Write, to receipts without it, the time from which no file holds the people.

    `requests` has the columns request and found_ts.
    """
    receipts = store.read(ERASURE_RECEIPTS).where("gone_ts IS NULL AND action IS NULL")
    grace = F.make_dt_interval(hours=F.lit(0), secs=F.lit(grace_hours * 3600))
    is_old = F.col("kind").isin("table", "file")
    gone_ts = F.when(is_old, F.col("found_ts") + grace).otherwise(F.col("found_ts"))
    dated = receipts.join(requests, "request").withColumn("gone_ts", gone_ts)
    store.upsert(ERASURE_RECEIPTS, dated.select(*ERASURE_RECEIPTS.column_names()))


def find_remaining_file(store: Store, request: str) -> str | None:
    """Return a remaining file of the receipts; None if all are gone."""
    receipts = store.read(ERASURE_RECEIPTS).where(F.col("request") == request)
    for row in receipts.where("kind = 'file' AND verified_ts IS NULL").toLocalIterator():
        table, _, file = row["place"].partition("/")
        path = f"{store.path(TABLES_BY_NAME[table])}/{file}"
        if file_exists(store.spark, path):
            return path
    return None


def mark_verified(store: Store, request: str, now: datetime) -> None:
    """Write to the receipts of a request that they are verified."""
    receipts = store.read(ERASURE_RECEIPTS).where(F.col("request") == request)
    verified = receipts.where("action IS NULL").withColumn("verified_ts", F.lit(now))
    store.upsert(ERASURE_RECEIPTS, verified)
