"""Compare the project's upsert into a large table of profiles with a textbook MERGE.

    python -m benchmarks.merge FOLDER --profiles 10000000 --updates 10000 --repeats 3

Every method runs on shallow clones of one table, which is written into FOLDER and deleted
afterwards. The table needs some 0.8 GiB per million profiles, twice that while a method rewrites
all of it, and once more in Spark's own folder while it is written. Writes
benchmarks/results/merge.json.
"""

import argparse
import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from benchmarks.measure import save_result, summarise_ratios, summarise_repeats, time_call
from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.spark.session import start_spark
from profile_lib.tables import USER_PROFILES
from profile_lib.tables.table import user_bucket

VECTOR_SIZE = 128  # of a profile's interest vector
WITHOUT_DELETION_VECTORS = replace(USER_PROFILES, deletion_vectors=False)
STOCK = "stock_merge"
TARGETS = {"upsert": 5.0}  # speedup over the stock merge
Merge = Callable[[Store, DataFrame], None]


def stock_merge(store: Store, updates: DataFrame) -> None:
    """Merge by the key alone, as a textbook does."""
    delta = DeltaTable.forPath(store.spark, store.path(USER_PROFILES)).alias("target")
    merge = delta.merge(updates.alias("source"), "target.user_id = source.user_id")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def upsert(store: Store, updates: DataFrame) -> None:
    """Merge as jobs do."""
    store.upsert(USER_PROFILES, updates)


def upsert_without_deletion_vectors(store: Store, updates: DataFrame) -> None:
    """Merge as jobs do, into a table without deletion vectors."""
    store.upsert(WITHOUT_DELETION_VECTORS, updates)


# The merge of each method, and whether its table has deletion vectors, and a change feed and writes
# in as many tasks as its rows need.
METHODS: dict[str, tuple[Merge, bool, bool]] = {
    STOCK: (stock_merge, False, False),
    "stock_merge_with_deletion_vectors": (stock_merge, True, False),
    "upsert_without_deletion_vectors": (upsert_without_deletion_vectors, False, True),
    "upsert": (upsert, True, True),
}


def make_profiles(numbers: DataFrame, n_buckets: int, seed: int) -> DataFrame:
    """Make the profile of each user number; as in a real one, most bytes are its vector's."""
    users = numbers.select(F.sha2(F.col("id").cast("string"), 256).alias("user_id"))
    cells = {
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
    columns = [cells.get(c.name, _empty_value(c.type)).alias(c.name) for c in USER_PROFILES.columns]
    return vectors.select(*columns)


def _with_vectors(seed: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def add(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rng = np.random.default_rng(seed)
        for batch in batches:
            values = pa.array(rng.random(batch.num_rows * VECTOR_SIZE, dtype=np.float32))
            starts = pa.array(np.arange(batch.num_rows + 1, dtype=np.int32) * VECTOR_SIZE)
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
    """Run one method on a fresh clone; return its seconds and the bytes it wrote."""
    merge, has_deletion_vectors, is_declared = METHODS[name]
    store = Store(base.spark, str(folder))
    switches = {
        "enableDeletionVectors": has_deletion_vectors,
        "enableChangeDataFeed": is_declared,
        "autoOptimize.optimizeWrite": is_declared,
    }
    properties = ", ".join(f"'delta.{key}' = '{str(on).lower()}'" for key, on in switches.items())
    base.spark.sql(
        f"CREATE TABLE delta.`{store.path(USER_PROFILES)}` SHALLOW CLONE "
        f"delta.`{base.path(USER_PROFILES)}` TBLPROPERTIES ({properties})"
    )
    try:
        seconds = time_call(merge, store, updates)
        data = [f for f in folder.rglob("*") if f.is_file() and "_delta_log" not in f.parts]
        n_bytes = sum(file.stat().st_size for file in data)
    finally:
        shutil.rmtree(folder)
    return {"seconds": seconds, "bytes_written": n_bytes}


def compare_methods(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the methods in turns; the first turn only warms up."""
    folder = Path(arguments.folder) / "merge_benchmark"
    settings = load_settings("base")
    spark = start_spark(settings.spark, "benchmark")
    n, buckets = arguments.profiles, arguments.buckets
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.methods}
    try:
        base = Store(spark, str(folder / "base"))
        rows = make_profiles(spark.range(n), buckets, seed=1).repartition(buckets, "user_bucket")
        base.replace(USER_PROFILES, rows.sortWithinPartitions("user_bucket", "user_id"))
        drawn = spark.range(n).orderBy(F.xxhash64("id")).limit(arguments.updates)
        make_profiles(drawn, buckets, seed=2).write.parquet(str(folder / "updates"))
        updates = spark.read.schema(USER_PROFILES.schema).parquet(str(folder / "updates"))
        for turn in range(arguments.repeats + 1):
            for name in arguments.methods:
                measured = measure_merge(base, updates, folder / "clone", name)
                print(turn, name, json.dumps(measured), flush=True)
                figures[name] += [measured] if turn else []
        files = base.files(USER_PROFILES).agg(F.count("*"), F.sum("bytes")).collect()[0]
        table = {"buckets": buckets, "files": files[0], "bytes": files[1]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"profiles": n, "updates": arguments.updates} | table | summarise_methods(figures)


def summarise_methods(figures: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Summarise the repeats of each method, and its speedup over the stock merge turn by turn."""
    seconds = {name: [turn["seconds"] for turn in turns] for name, turns in figures.items()}
    return {
        "methods": {
            name: {
                "seconds": summarise_repeats(seconds[name]),
                "bytes_written": int(statistics.median(turn["bytes_written"] for turn in turns)),
            }
            for name, turns in figures.items()
        },
        "speedup_over_stock_merge": {
            name: summarise_ratios(seconds[STOCK], values)
            for name, values in seconds.items()
            if name != STOCK
        },
        "target": TARGETS,
    }


def main() -> None:
    """Compare the requested methods."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="where the tables are written, on a disk with room")
    parser.add_argument("--profiles", type=int, default=10_000_000)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--buckets", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    part = f"{arguments.updates}_into_{arguments.profiles}"
    save_result("merge", part, compare_methods(arguments))


if __name__ == "__main__":
    main()
