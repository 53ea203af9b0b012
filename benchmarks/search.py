"""Measure whether search results are better in an order that suits the user.

    python -m benchmarks.search --config conf/ga.yaml
    python -m benchmarks.search --config conf/demo.yaml --truth

Needs tables, a model and a fitted recommender of these settings. Results are re-ranked by what the
sources knew before `recommend.ranker_from`, at cutoffs of the test split right after a search or a
listing. Writes benchmarks/results/search.json.

Without `--truth` the engine is the shop's habit: items that others interacted with after the same
text before the test, most frequent first. The item that the user interacted with next is relevant.
The data do not record which results a page showed, so an item that was not clicked may not have
been seen. With `--truth` the shop is the simulated one: the results are all items that match the
search, the engine orders them by popularity, and relevance is how well each truly suits the user.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from benchmarks.measure import make_parser, open_store, save_result
from benchmarks.true_appeal import add_appeal, simulated_shop
from profile_lib.arrays.groups import index_within_group, slice_batches
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.metrics.bootstrap import paired_bootstrap_interval
from profile_lib.metrics.ranking import ranking_metrics_per_user
from profile_lib.model.checkpoint import load_model
from profile_lib.pipelines.fit_recommender import PAST_RETRIEVAL_FOLDER
from profile_lib.pipelines.ranker_examples import CUTOFF_KEY, write_ranker_examples
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.recommend.data.profile_columns import REQUEST_COLUMNS
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility, ListRules
from profile_lib.recommend.serving.search import rerank_results
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import IDENTITY
from profile_lib.tables.events import EVENT_ORDER

PERSONALISATION = (0.0, 0.25, 0.5, 0.75, 1.0)
RESULTS, K, RESAMPLES = 20, 10, 1000
MAX_REQUESTS_PER_BATCH = 64
ALL = 10**6
METRICS_SCHEMA = "user_id string, request long, personalisation double, ndcg double"


def select_search_requests(ranker_examples: DataFrame, kinds: list[str]) -> DataFrame:
    """Select the test cutoffs right after a search or a listing, whose text becomes `query`."""
    last = F.get("recent", F.lit(0))
    test = ranker_examples.where("split = 'test'").withColumn("query", last["text"])
    return test.where(last["event_type"].isin(*kinds) & F.col("query").isNotNull())


def habit_results(shop: ShopData, settings: Settings) -> DataFrame:
    """Collect per query the `items` that users interacted with after it, most frequent first.

    Only events before the test count.
    """
    recommend, before = settings.recommend, F.lit(midnight(settings.examples.test_from))
    ts = F.unix_seconds("event_ts")
    text = F.coalesce("query", "text")
    is_text = F.col("event_type").isin(*recommend.query_event_types) & text.isNotNull()
    earlier = Window.partitionBy("user_id").orderBy(*EVENT_ORDER).rowsBetween(-ALL, -1)
    last = F.last(F.when(is_text, F.struct(text.alias("text"), ts.alias("ts"))), True).over(earlier)
    interactions = (
        shop.events.where(F.col("event_ts") < before)
        .withColumn("search", last)
        .where(F.col("event_type").isin(*recommend.weights))
        .where(ts - F.col("search.ts") <= settings.sessions.gap.total_seconds())
        .join(F.broadcast(shop.item_numbers), "item_id")
    )
    counts = interactions.groupBy(F.col("search.text").alias("query"), "item").count()
    row = F.struct((-F.col("count")).alias("priority"), "item")
    ordered = F.array_sort(F.collect_list(row))
    return counts.groupBy("query").agg(F.slice(ordered, 1, RESULTS)["item"].alias("items"))


def label_next_item(requests: DataFrame, results: DataFrame, numbers: DataFrame) -> DataFrame:
    """Add the results, with a relevance of 1 for the item that the user interacted with next.

    Requests without that item among the results are left out. `is_new` is true if the user had not
    interacted with it before.
    """
    following = F.get("relevant", F.lit(0))
    is_next = F.transform("items", lambda item: (item == following).cast("float"))
    labelled = requests.join(results, "query").withColumn("relevance", is_next)
    labelled = labelled.where(F.array_contains("relevance", 1.0)).where(F.size("items") > 1)
    ids = F.broadcast(numbers.withColumnsRenamed({"item_id": "next_id", "item": "next"}))
    earlier = F.transform("recent", lambda event: event["item_id"])
    was_seen = F.coalesce(F.array_contains(earlier, F.col("next_id")), F.lit(False))
    return labelled.join(ids, following == F.col("next")).withColumn("is_new", ~was_seen)


def label_by_truth(
    requests: DataFrame, shop: ShopData, settings: Settings, identity: DataFrame
) -> DataFrame:
    """Add the items that match the search, most popular first, and how well each suits the user."""
    simulated = simulated_shop(settings)
    catalog = simulated.catalog()
    rows = pa.table(
        {
            "query": pa.array(catalog.query, pa.string()),
            "item_id": pa.array(catalog.item, pa.string()),
        }
    )
    before = shop.events.where(F.col("event_ts") < F.lit(midnight(settings.examples.test_from)))
    counts = before.groupBy("item_id").count()
    items = identity.sparkSession.createDataFrame(rows).withColumn("query", F.lower("query"))
    items = items.join(F.broadcast(shop.item_numbers), "item_id").join(counts, "item_id", "left")
    pairs = requests.select(*CUTOFF_KEY, "query").join(F.broadcast(items), "query")
    judged = add_appeal(pairs, identity, simulated).drop("item").join(shop.item_numbers, "item_id")
    row = F.struct((-F.coalesce("count", F.lit(0))).alias("priority"), "item", "appeal")
    ordered = judged.groupBy(*CUTOFF_KEY).agg(F.array_sort(F.collect_list(row)).alias("rows"))
    lists = ordered.select(
        *CUTOFF_KEY,
        F.col("rows.item").alias("items"),
        F.col("rows.appeal").cast("array<float>").alias("relevance"),
    )
    return requests.drop("relevance").join(lists, CUTOFF_KEY).where(F.size("items") > 1)


def measure_orders(requests: DataFrame, listing: ListBuilder) -> DataFrame:
    """Measure the order of each request's results at each degree of personalisation.

    `requests` has REQUEST_COLUMNS, `query`, `items` in the engine's order and their `relevance`;
    returns METRICS_SCHEMA.
    """

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in slice_batches(batches, MAX_REQUESTS_PER_BATCH):
            yield from _measure_part(part, listing)

    return requests.select(
        "user_id",
        F.xxhash64(*CUTOFF_KEY).alias("request"),
        *REQUEST_COLUMNS,
        "query",
        "items",
        "relevance",
    ).mapInArrow(rows, METRICS_SCHEMA)


def _measure_part(part: pa.RecordBatch, listing: ListBuilder) -> Iterator[pa.RecordBatch]:
    users, items = listing.retrieval.reader.read_requests(part), part["items"]
    user = items.value_parent_indices().to_numpy().astype(np.int64)
    item, relevance = (
        part[name].flatten().to_numpy(zero_copy_only=False) for name in ("items", "relevance")
    )
    is_relevant = relevance > 0
    for personalisation in PERSONALISATION:
        order = rerank_results(
            listing, users, part["query"], user, item.astype(np.int64), personalisation
        )
        rank = np.empty(len(user))
        rank[order] = index_within_group(user[order]) + 1
        metrics = ranking_metrics_per_user(
            user[is_relevant], rank[is_relevant], relevance[is_relevant], K
        )
        columns = [
            part["user_id"], part["request"], np.full(part.num_rows, personalisation),
            metrics["ndcg"],
        ]  # fmt: skip
        names = [column.split()[0] for column in METRICS_SCHEMA.split(", ")]
        yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names)


def summarise(metrics: DataFrame) -> dict[str, Any]:
    """Return the mean NDCG per degree of personalisation, and the interval of its lead.

    The lead is over the engine's order; the interval resamples users.
    """
    frame = metrics.toPandas().sort_values(["personalisation", "request"])
    by_degree = {
        personalisation: rows.set_index("request")
        for personalisation, rows in frame.groupby("personalisation")
    }
    engine = by_degree[0.0]
    result: dict[str, Any] = {"requests": len(engine), "users": engine["user_id"].nunique()}
    for personalisation, rows in by_degree.items():
        lead = (rows["ndcg"] - engine["ndcg"]).groupby(engine["user_id"]).mean().to_numpy()
        interval = paired_bootstrap_interval(lead, np.zeros(len(lead)), RESAMPLES, seed=1)
        result[f"personalisation_{personalisation}"] = {
            "ndcg": round(float(rows["ndcg"].mean()), 4),
            "ndcg_lead": [round(x, 4) for x in interval or ()],
        }
    return result


def load_listing(settings: Settings) -> ListBuilder:
    """Load the ranker, with the sources as they were before its examples."""
    recommend = settings.recommend
    work = Path(settings.paths.work) / f"train_{recommend.name}"
    retrieval = RetrievalModel.load(work / PAST_RETRIEVAL_FOLDER)
    ranker = load_model(f"{settings.paths.models}/{recommend.name}", with_encoder=False)[0]
    eligibility = Eligibility.all_eligible(len(retrieval.catalog))
    rules = ListRules(**recommend.lists.model_dump())
    return ListBuilder.from_model(retrieval, ranker, recommend.task_weights, rules, eligibility)


def main() -> None:
    """Re-rank the results of the test's searches and measure them."""
    parser = make_parser(__doc__)
    parser.add_argument("--truth", action="store_true")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    store = open_store(settings)
    model = load_served_model(settings, "search")
    shop = ShopData(store, settings, model)
    folder = Path(settings.paths.work) / "benchmark_search"
    shutil.rmtree(folder, ignore_errors=True)
    cutoffs = {"recommend.max_train_cutoffs": 100, "recommend.max_test_cutoffs": ALL}
    with_cutoffs = with_values(settings, cutoffs)
    ranker_examples = write_ranker_examples(store, with_cutoffs, model, shop, folder)
    kinds = list(settings.recommend.query_event_types)
    searches = select_search_requests(ranker_examples, kinds)
    if arguments.truth:
        requests = label_by_truth(searches, shop, settings, store.read(IDENTITY))
    else:
        requests = label_next_item(searches, habit_results(shop, settings), shop.item_numbers)
    listing = load_listing(settings)
    result = {
        "engine": "popularity" if arguments.truth else "habit",
        "test_cutoffs": ranker_examples.where("split = 'test'").count(),
        "search_requests": searches.count(),
        "all_requests": summarise(measure_orders(requests, listing)),
    }
    if not arguments.truth:
        first_interactions = measure_orders(requests.where("is_new"), listing)
        result["first_interactions"] = summarise(first_interactions)
    save_result("search", Path(arguments.config).stem, result)


if __name__ == "__main__":
    main()
