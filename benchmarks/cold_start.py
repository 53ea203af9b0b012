"""Measure recommendations for new users and of new items.

    python -m benchmarks.cold_start --config conf/ga.yaml

A recommender is fitted without a tenth of the users and a tenth of the items, chosen by a hash.

New users: the share of held-out users whose next new item is among the first 20 listed items after
none, one, two and five items, compared with listing by popularity alone. New items: if another user
interacts with a held-out item as the second, third or fourth, the share of these cases in which
each source has the item among its first 100 candidates. Items that a user has interacted with are
not listed. Writes benchmarks/results/cold_start.json.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.measure import make_parser, open_store, save_result
from profile_lib.arrays.groups import slice_batches
from profile_lib.arrays.types import Floats
from profile_lib.config.settings import load_settings, with_values
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    interacted_before,
    propose_candidates,
)
from profile_lib.recommend.candidates.shared.top_k import rank_within_user
from profile_lib.recommend.data.profile_columns import (
    CONTEXT_COLUMNS,
    PROFILE_NUMBERS,
    REQUEST_COLUMNS,
)
from profile_lib.recommend.data.relevant_items import RelevantItems
from profile_lib.recommend.retrieval_model import RetrievalModel

HELD_OUT_SHARE, K, CANDIDATES_PER_SOURCE = 0.1, 20, 100
ITEMS_KNOWN = (0, 1, 2, 5)
MAX_USERS_PER_BATCH = 256
HITS_SCHEMA = "method string, hits long, n long"


def is_held_out(column: str) -> F.Column:
    """True for a tenth of the values, chosen by a hash."""
    return F.pmod(F.xxhash64(F.lit("held"), column), F.lit(10_000)) < HELD_OUT_SHARE * 10_000


def profiles_after_items(events: DataFrame, kinds: list[str], n_known: int) -> DataFrame:
    """Build the users' profiles after `n_known` items, with their next new item as `next_id`."""
    step = F.struct("event_ts", "event_type", "item_id", F.lit(None).cast("string").alias("text"))
    steps = events.where(F.col("event_type").isin(*kinds) & F.col("item_id").isNotNull())
    columns = ("event_ts", "event_type", *CONTEXT_COLUMNS)
    first_steps = steps.groupBy("user_id", "item_id").agg(
        *[F.min_by(name, "event_ts").alias(name) for name in columns]
    )
    users = first_steps.groupBy("user_id").agg(
        F.array_sort(F.collect_list(step)).alias("steps"),
        *[F.min_by(name, "event_ts").alias(name) for name in CONTEXT_COLUMNS],
    )
    requests = users.where(F.size("steps") > n_known)
    known = {
        "recent": F.reverse(F.slice("steps", 1, n_known)),
        "interest_vector": F.array().cast("array<float>"),
        "model_version": F.lit(""),
        "as_of_ts": F.get("steps", F.lit(n_known))["event_ts"],
        "next_id": F.get("steps", F.lit(n_known))["item_id"],
    }
    counts = {
        counted: F.when(F.col(name).isNotNull(), F.create_map(name, F.lit(1).cast("long")))
        for name, counted in CONTEXT_COLUMNS.items()
    }
    numbers = {name: F.lit(None).cast("double") for name in PROFILE_NUMBERS}
    return requests.withColumns(known | counts | numbers).select(*REQUEST_COLUMNS, "next_id")


def hit_rates(
    requests: DataFrame, retrieval: RetrievalModel, k: int, methods: dict[str, Any]
) -> dict[str, float]:
    """Return per method the share of requests whose next item is among the first k it lists."""

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in slice_batches(batches, MAX_USERS_PER_BATCH):
            users = retrieval.reader.read_requests(part)
            pairs = propose_candidates(retrieval.sources, users, CANDIDATES_PER_SOURCE)
            pairs = pairs.where(~interacted_before(users, pairs, bought=False))
            relevant = RelevantItems.from_batch(part)
            hits = [_hits(pairs, score(pairs), relevant, k) for score in methods.values()]
            columns = [list(methods), hits, [part.num_rows] * len(hits)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(c) for c in columns], ["method", "hits", "n"]
            )

    counts = requests.mapInArrow(count, HITS_SCHEMA)
    rates = counts.groupBy("method").agg(F.sum("hits") / F.sum("n")).collect()
    by_method = {method: round(share, 4) for method, share in rates}
    return {method: by_method[method] for method in methods}


def _hits(pairs: Candidates, scores: Floats, relevant: RelevantItems, k: int) -> int:
    listed = pairs.where((rank_within_user(pairs.user, scores) < k) & (scores > -np.inf))
    return int(listed.contains(relevant.user, relevant.item).sum())


def sum_of_scores(pairs: Candidates) -> Floats:
    """Score by all sources with equal weights."""
    return pairs.normalised_scores.sum(axis=1)


def scores_of_source(name: str) -> Any:
    """Score by one source alone."""

    def score(pairs: Candidates) -> Floats:
        return np.nan_to_num(pairs.scores[:, pairs.sources.index(name)], nan=-np.inf)

    return score


def number_items(requests: DataFrame, item_numbers: DataFrame) -> DataFrame:
    """Label requests with the number of their next item."""
    next_numbers = item_numbers.withColumnRenamed("item_id", "next_id")
    relevance = F.array(F.lit(1.0).cast("float")).alias("relevance")
    return requests.join(F.broadcast(next_numbers), "next_id").select(
        *REQUEST_COLUMNS, F.array("item").alias("relevant"), relevance
    )


def main() -> None:
    """Fit the sources without the held-out users and items, and measure both."""
    arguments = make_parser(__doc__).parse_args()
    settings = load_settings(arguments.config, arguments.set)
    settings = with_values(settings, {"recommend.sources.interest": None})  # it needs profiles
    store = open_store(settings)
    shop = ShopData(store, settings, load_served_model(settings, "cold_start"))
    events = shop.events
    shop.events = events.where(
        ~is_held_out("user_id") & (F.col("item_id").isNull() | ~is_held_out("item_id"))
    )
    no_vectors = store.spark.createDataFrame(
        [], "interest_vector array<float>, relevant array<int>"
    )
    retrieval = shop.fit_retrieval(shop.now, no_vectors)
    kinds = list(settings.recommend.weights)

    def measure(requests: DataFrame, k: int, methods: dict[str, Any]) -> dict[str, float]:
        return hit_rates(number_items(requests, shop.item_numbers), retrieval, k, methods)

    methods = {"all_sources": sum_of_scores, "popularity": scores_of_source("popular")}
    held_out_events = events.where(is_held_out("user_id"))
    users = {
        f"after_{n}_items": measure(profiles_after_items(held_out_events, kinds, n), K, methods)
        for n in ITEMS_KNOWN
    }
    others = events.where(~is_held_out("user_id"))
    next_items = reduce(
        DataFrame.union, [profiles_after_items(others, kinds, n) for n in (1, 2, 3)]
    ).where(is_held_out("next_id"))
    by_source = {name: scores_of_source(name) for name in retrieval.sources}
    result = {
        "held_out": HELD_OUT_SHARE,
        "new_users_hit_rate_at_20": users,
        "new_items_hit_rate_at_100": measure(next_items, CANDIDATES_PER_SOURCE, by_source),
    }
    save_result("cold_start", Path(arguments.config).stem, result)


if __name__ == "__main__":
    main()
