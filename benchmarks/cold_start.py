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
from measure import save_result
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import Floats, index_within_group, slice_batches
from profile_lib.config.settings import load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    interacted_before,
    propose_candidates,
)
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.evaluation.relevant_items import RelevantItems
from profile_lib.recommend.serving.requests import CONTEXT_COLUMNS, PROFILE_NUMBERS, REQUEST_COLUMNS
from profile_lib.spark.session import start_spark

HELD_OUT_SHARE, K, CANDIDATES_PER_SOURCE = 0.1, 20, 100
ITEMS_KNOWN = (0, 1, 2, 5)
MAX_USERS_PER_BATCH = 256
HITS_SCHEMA = "method string, hits long, n long"


def is_held_out(column: str) -> F.Column:
    """True of a tenth of the values, by hash."""
    return F.pmod(F.xxhash64(F.lit("held"), column), F.lit(10_000)) < HELD_OUT_SHARE * 10_000


def profiles_after_items(events: DataFrame, kinds: list[str], n_known: int) -> DataFrame:
    """Profiles of users when they had met so many items, and the next item that was new to them."""
    act = F.struct("event_ts", "event_type", "item_id", F.lit(None).cast("string").alias("text"))
    acts = events.where(F.col("event_type").isin(*kinds) & F.col("item_id").isNotNull())
    columns = ("event_ts", "event_type", *CONTEXT_COLUMNS)
    met = acts.groupBy("user_id", "item_id").agg(
        *[F.min_by(name, "event_ts").alias(name) for name in columns]
    )
    of_user = met.groupBy("user_id").agg(
        F.array_sort(F.collect_list(act)).alias("acts"),
        *[F.min_by(name, "event_ts").alias(name) for name in CONTEXT_COLUMNS],
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
        for name, counted in CONTEXT_COLUMNS.items()
    }
    numbers = {name: F.lit(None).cast("double") for name in PROFILE_NUMBERS}
    return asked.withColumns(known | counts | numbers).select(*REQUEST_COLUMNS, "next_id")


def hit_rates(
    asked: DataFrame, known: RetrievalModel, k: int, methods: dict[str, Any]
) -> dict[str, float]:
    """method → the share of the rows whose next item is among the first k that it lists."""

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in slice_batches(batches, MAX_USERS_PER_BATCH):
            users = known.reader.read_requests(part)
            pairs = propose_candidates(known.sources, users, CANDIDATES_PER_SOURCE)
            pairs = pairs.where(~interacted_before(users, pairs, bought=False))
            wanted = RelevantItems.from_batch(part)
            hits = [_hits(pairs, score(pairs), wanted, k) for score in methods.values()]
            columns = [list(methods), hits, [part.num_rows] * len(hits)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(c) for c in columns], ["method", "hits", "n"]
            )

    sums = asked.mapInArrow(count, HITS_SCHEMA).groupBy("method").agg(F.sum("hits") / F.sum("n"))
    return {method: round(share, 4) for method, share in sums.collect()}


def _hits(pairs: Candidates, scores: Floats, wanted: RelevantItems, k: int) -> int:
    order = np.lexsort((-scores, pairs.user))
    place = index_within_group(pairs.user[order])
    first = order[(place < k) & (scores[order] > -np.inf)]
    listed = pairs.where(np.isin(np.arange(len(pairs.user)), first))
    return int(listed.contains(wanted.user, wanted.item).sum())


def sum_of_scores(pairs: Candidates) -> Floats:
    """All sources alike."""
    return pairs.normalised_scores.sum(axis=1)


def scores_of_source(name: str) -> Any:
    """One source alone."""

    def score(pairs: Candidates) -> Floats:
        return np.nan_to_num(pairs.scores[:, pairs.sources.index(name)], nan=-np.inf)

    return score


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    settings = with_values(settings, {"recommend.sources.interest": None})  # wants profiles
    spark = start_spark(settings.spark, "benchmark")
    store = Store(spark, settings.paths.tables)
    shop = ShopData(store, settings, load_served_model(settings, "cold_start"))
    events = shop.events
    shop.events = events.where(
        ~is_held_out("user_id") & (F.col("item_id").isNull() | ~is_held_out("item_id"))
    )
    none = spark.createDataFrame([], "interest_vector array<float>, relevant array<int>")
    known, kinds = shop.fit_retrieval(shop.now, none), list(settings.recommend.weights)

    def numbered(asked: DataFrame) -> DataFrame:
        wanted = asked.join(
            F.broadcast(shop.item_numbers).withColumnRenamed("item_id", "next_id"), "next_id"
        )
        gains = F.array(F.lit(1.0).cast("float")).alias("relevance")
        return wanted.select(*REQUEST_COLUMNS, F.array("item").alias("relevant"), gains)

    methods = {"all sources": sum_of_scores, "popularity": scores_of_source("popular")}
    users = {
        f"after {n} items": hit_rates(
            numbered(profiles_after_items(events.where(is_held_out("user_id")), kinds, n)),
            known,
            K,
            methods,
        )
        for n in ITEMS_KNOWN
    }
    others = events.where(~is_held_out("user_id"))
    new_items = reduce(DataFrame.union, [profiles_after_items(others, kinds, n) for n in (1, 2, 3)])
    by_source = {name: scores_of_source(name) for name in known.sources}
    items = hit_rates(
        numbered(new_items.where(is_held_out("next_id"))), known, CANDIDATES_PER_SOURCE, by_source
    )
    result = {
        "held_out": HELD_OUT_SHARE,
        "new_users_hit_rate_at_20": users,
        "new_items_hit_rate_at_100": items,
    }
    save_result("recommend", "cold start", result)


if __name__ == "__main__":
    main()
