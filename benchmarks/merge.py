"""Updates into a large table of profiles: our upsert beside a MERGE as the textbook has it.

    python benchmarks/merge.py FOLDER --profiles 10000000 --updates 10000 --repeats 3

All run on shallow clones of one table, which is written into FOLDER (some 0.8 GiB a million
profiles, twice that while a way writes all of it anew, and once more in Spark's own folder while it
is made) and deleted afterwards. Prints the figures and writes them into
benchmarks/results/merge.json.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from delta.tables import DeltaTable
from measure import save_result, summarise_repeats
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.spark.session import start_spark
from profile_lib.tables import USER_PROFILES
from profile_lib.tables.table import user_bucket

VECTOR = 128  # numbers in a profile's vector
WITHOUT_DELETION_VECTORS = replace(USER_PROFILES, deletion_vectors=False)
METRICS = {
    "files_removed": "numTargetFilesRemoved",
    "files_added": "numTargetFilesAdded",
    "rows_copied": "numTargetRowsCopied",
    "rows_updated": "numTargetRowsUpdated",
    "scan_ms": "scanTimeMs",
    "rewrite_ms": "rewriteTimeMs",
}
TARGETS = {"ours": 5.0}  # times faster than stock
Merge = Callable[[Store, DataFrame], None]


def stock(store: Store, updates: DataFrame) -> None:
    """As in the textbook: by key alone."""
    delta = DeltaTable.forPath(store.spark, store.path(USER_PROFILES)).alias("target")
    merge = delta.merge(updates.alias("source"), "target.user_id = source.user_id")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def ours(store: Store, updates: DataFrame) -> None:
    """As jobs do it."""
    store.upsert(USER_PROFILES, updates)


def ours_without_deletion_vectors(store: Store, updates: DataFrame) -> None:
    """As jobs do it, on a table without deletion vectors."""
    store.upsert(WITHOUT_DELETION_VECTORS, updates)


# name → the merge, whether files' rows are marked as deleted, whether there is a change feed
METHODS: dict[str, tuple[Merge, bool, bool]] = {
    "stock": (stock, False, False),
    "stock, deletion vectors": (stock, True, False),
    "ours, no deletion vectors": (ours_without_deletion_vectors, False, True),
    "ours": (ours, True, True),
}


def made_up_profiles(numbers: DataFrame, n_buckets: int, seed: int) -> DataFrame:
    """Made-up profiles of users by number, of the size that real ones have: mostly their vector."""
    users = numbers.select(F.sha2(F.col("id").cast("string"), 256).alias("user_id"))
    made = {
        "user_id": F.col("user_id"),
        "user_bucket": user_bucket(n_buckets),
        "interest_vector": F.col("interest_vector"),
        "n_sessions": F.pmod(F.xxhash64("user_id"), F.lit(90)),
        "last_event_ts": F.timestamp_seconds(
            1.7e9 + F.pmod(F.xxhash64("user_id"), F.lit(10_000_000))
        ),
        "segment": F.lit("returning visitor"),
        "categories": F.expr(
            "transform(sequence(1, 5), i -> named_struct('name', concat('category ', i), "
            "'weight', pmod(xxhash64(user_id, i), 1000) / 100.0D))"
        ),
    }
    vectors = users.mapInArrow(_with_vectors(seed), "user_id string, interest_vector array<float>")
    columns = [made.get(c.name, _empty_value(c.type)).alias(c.name) for c in USER_PROFILES.columns]
    return vectors.select(*columns)


def _with_vectors(seed: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def add(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        chance = np.random.default_rng(seed)
        for batch in batches:
            values = pa.array(chance.random(batch.num_rows * VECTOR, dtype=np.float32))
            starts = pa.array(np.arange(batch.num_rows + 1, dtype=np.int32) * VECTOR)
            vectors = pa.ListArray.from_arrays(starts, values)
            yield pa.RecordBatch.from_arrays(
                [batch.column(0), vectors], names=["user_id", "interest_vector"]
            )

    return add


def _empty_value(kind: T.DataType) -> Column:
    empty = {T.StringType: "", T.IntegerType: 0, T.LongType: 0, T.DoubleType: 0.0}
    if type(kind) in empty:
        return F.lit(empty[type(kind)]).cast(kind)
    if isinstance(kind, T.TimestampType):
        return F.timestamp_seconds(F.lit(1_700_000_000))
    if isinstance(kind, T.StructType):
        return F.lit(None).cast(kind)
    return (F.create_map() if isinstance(kind, T.MapType) else F.array()).cast(kind)


def measure_merge(base: Store, updates: DataFrame, folder: Path, name: str) -> dict[str, float]:
    """One way on a fresh clone: seconds, bytes that it wrote, and Delta's own figures."""
    merge, marks, feeds = METHODS[name]
    store = Store(base.spark, str(folder))
    told = {"enableDeletionVectors": marks, "enableChangeDataFeed": feeds}
    properties = ", ".join(f"'delta.{key}' = '{str(on).lower()}'" for key, on in told.items())
    base.spark.sql(
        f"CREATE TABLE delta.`{store.path(USER_PROFILES)}` SHALLOW CLONE "
        f"delta.`{base.path(USER_PROFILES)}` TBLPROPERTIES ({properties})"
    )
    try:
        began = time.monotonic()
        merge(store, updates)
        seconds = time.monotonic() - began
        commits = DeltaTable.forPath(base.spark, store.path(USER_PROFILES)).history()
        metrics = commits.where("operation = 'MERGE'").collect()[0]["operationMetrics"]
        data = [f for f in folder.rglob("*") if f.is_file() and "_delta_log" not in f.parts]
        n_bytes = sum(file.stat().st_size for file in data)
    finally:
        shutil.rmtree(folder)
    return {"seconds": seconds, "bytes_written": n_bytes} | {
        name: int(metrics[metric]) for name, metric in METRICS.items()
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every way as often as asked, in turns; the first turn only warms up."""
    folder = Path(arguments.folder) / "merge_benchmark"
    settings = load_settings("base")
    spark = start_spark(settings.spark, "benchmark")
    n, buckets = arguments.profiles, arguments.buckets
    try:
        base = Store(spark, str(folder / "base"))
        made = made_up_profiles(spark.range(n), buckets, seed=1).repartition(buckets, "user_bucket")
        base.replace(USER_PROFILES, made.sortWithinPartitions("user_bucket", "user_id"))
        drawn = spark.range(n).orderBy(F.xxhash64("id")).limit(arguments.updates)
        made_up_profiles(drawn, buckets, seed=2).write.parquet(str(folder / "updates"))
        updates = spark.read.schema(USER_PROFILES.schema).parquet(str(folder / "updates"))
        told: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.methods}
        for turn in range(arguments.repeats + 1):
            for name in arguments.methods:
                figures = measure_merge(base, updates, folder / "clone", name)
                print(turn, name, json.dumps(figures), flush=True)
                told[name] += [figures] if turn else []
        files = base.files(USER_PROFILES).agg(F.count("*"), F.sum("bytes")).collect()[0]
        table = {"profiles": n, "buckets": buckets, "files": files[0], "bytes": files[1]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return table | {"updates": arguments.updates} | summary(told)


def summary(told: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The spread of each figure of each way, and how many times faster than stock each turn was."""
    methods = {
        name: {key: summarise_repeats([f[key] for f in figures]) for key in figures[0]}
        for name, figures in told.items()
    }
    times = {
        name: summarise_repeats(
            [s["seconds"] / f["seconds"] for s, f in zip(told["stock"], figures, strict=True)]
        )
        for name, figures in told.items()
    }
    return {"methods": methods, "speedup_over_stock": times, "target": TARGETS}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where the tables are written, on a disk with room")
    parser.add_argument("--profiles", type=int, default=10_000_000)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--buckets", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    chosen = parser.parse_args()
    save_result("merge", f"{chosen.updates} into {chosen.profiles}", run(chosen))
