"""What new users and new items get: those held out of all that a recommender learns of.

    python benchmarks/cold_start.py --config conf/ga.yaml

Of the settings' tables and model a tenth of the users and a tenth of the items are held out, by
hash. `users`: whether the next item that a held-out user had not met before is among the first 20
listed, when nothing but the context is known, and after one, two and five items; beside it what all
are shown by popularity alone. `items`: where other users met a held-out item as their second, third
or fourth, how often it is among the first 100 that each source names before. Items that a user met
are not listed. Writes benchmarks/results/recommend.json.
"""

import argparse
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from measure import save
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.known_shop import KnownShop
from jobs.profiling import served_model
from profile_lib.config import load_settings, with_values
from profile_lib.recommend.asking import CONTEXTS, NUMBERS, READ
from profile_lib.recommend.candidates import Candidates, candidates, met_before
from profile_lib.recommend.learned import Learned
from profile_lib.recommend.wanted import Wanted
from profile_lib.segments import Floats, in_parts, place_within
from profile_lib.spark import start_spark
from profile_lib.store import Store

HELD, K, NAMED = 0.1, 20, 100
ITEMS_KNOWN = (0, 1, 2, 5)
AT_ONCE = 256
ASKED = "way string, hits long, n long"


def is_held(column: str) -> F.Column:
    """True of a tenth of the values, by hash."""
    return F.pmod(F.xxhash64(F.lit("held"), column), F.lit(10_000)) < HELD * 10_000


def moments(events: DataFrame, kinds: list[str], n_known: int) -> DataFrame:
    """Profiles of users when they had met so many items, and the next item that was new to them."""
    act = F.struct("event_ts", "event_type", "item_id", F.lit(None).cast("string").alias("text"))
    acts = events.where(F.col("event_type").isin(*kinds) & F.col("item_id").isNotNull())
    columns = ("event_ts", "event_type", *CONTEXTS)
    met = acts.groupBy("user_id", "item_id").agg(
        *[F.min_by(name, "event_ts").alias(name) for name in columns]
    )
    of_user = met.groupBy("user_id").agg(
        F.array_sort(F.collect_list(act)).alias("acts"),
        *[F.min_by(name, "event_ts").alias(name) for name in CONTEXTS],
    )
    asked = of_user.where(F.size("acts") > n_known)
    known = {
        "recent": F.reverse(F.slice("acts", 1, n_known)),
        "interest_vector": F.array().cast("array<float>"),
        "model_version": F.lit(""),
        "as_of_ts": F.get("acts", F.lit(n_known))["event_ts"],
        "next_id": F.get("acts", F.lit(n_known))["item_id"],
    }
    counts = {
        counted: F.when(F.col(name).isNotNull(), F.create_map(name, F.lit(1).cast("long")))
        for name, counted in CONTEXTS.items()
    }
    numbers = {name: F.lit(None).cast("double") for name in NUMBERS}
    return asked.withColumns(known | counts | numbers).select(*READ, "next_id")


def found(asked: DataFrame, known: Learned, k: int, ways: dict[str, Any]) -> dict[str, float]:
    """way → the share of the rows whose next item is among the first k that it lists."""

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in in_parts(batches, AT_ONCE):
            users = known.reader.asked(part)
            pairs = candidates(known.sources, users, NAMED)
            pairs = pairs.where(~met_before(users, pairs, bought=False))
            wanted = Wanted.of_batch(part)
            hits = [_hits(pairs, score(pairs), wanted, k) for score in ways.values()]
            columns = [list(ways), hits, [part.num_rows] * len(hits)]
            yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], ["way", "hits", "n"])

    sums = asked.mapInArrow(count, ASKED).groupBy("way").agg(F.sum("hits") / F.sum("n"))
    return {way: round(share, 4) for way, share in sums.collect()}


def _hits(pairs: Candidates, scores: Floats, wanted: Wanted, k: int) -> int:
    order = np.lexsort((-scores, pairs.user))
    place = place_within(pairs.user[order])
    first = order[(place < k) & (scores[order] > -np.inf)]
    listed = pairs.where(np.isin(np.arange(len(pairs.user)), first))
    return int(listed.has(wanted.user, wanted.item).sum())


def by_strength(pairs: Candidates) -> Floats:
    """All sources alike."""
    return pairs.strengths.sum(axis=1)


def of_source(name: str) -> Any:
    """One source alone."""

    def score(pairs: Candidates) -> Floats:
        return np.nan_to_num(pairs.scores[:, pairs.sources.index(name)], nan=-np.inf)

    return score


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    given = parser.parse_args()
    settings = load_settings(given.config, given.set)
    settings = with_values(settings, {"recommend.sources.interest": None})  # wants profiles
    spark = start_spark(settings.spark, "benchmark")
    store = Store(spark, settings.paths.tables)
    shop = KnownShop(store, settings, served_model(settings, "cold_start"))
    events = shop.events
    shop.events = events.where(
        ~is_held("user_id") & (F.col("item_id").isNull() | ~is_held("item_id"))
    )
    none = spark.createDataFrame([], "interest_vector array<float>, wanted array<int>")
    known, kinds = shop.learn(shop.now, none), list(settings.recommend.weights)

    def numbered(asked: DataFrame) -> DataFrame:
        wanted = asked.join(
            F.broadcast(shop.numbers).withColumnRenamed("item_id", "next_id"), "next_id"
        )
        gains = F.array(F.lit(1.0).cast("float")).alias("gains")
        return wanted.select(*READ, F.array("item").alias("wanted"), gains)

    ways = {"all sources": by_strength, "popularity": of_source("popular")}
    users = {
        f"after {n} items": found(
            numbered(moments(events.where(is_held("user_id")), kinds, n)), known, K, ways
        )
        for n in ITEMS_KNOWN
    }
    others = events.where(~is_held("user_id"))
    new_items = reduce(DataFrame.union, [moments(others, kinds, n) for n in (1, 2, 3)])
    by_source = {name: of_source(name) for name in known.sources}
    items = found(numbered(new_items.where(is_held("next_id"))), known, NAMED, by_source)
    result = {
        "held_out": HELD,
        "new_users_hit_rate_at_20": users,
        "new_items_found_among_100": items,
    }
    save("recommend", "cold start", result)


if __name__ == "__main__":
    main()
