"""Whether results of searches are better in the order that suits who asked.

    python benchmarks/search.py --config conf/ga.yaml
    python benchmarks/search.py --config conf/demo.yaml --truth

Wants tables, a model and a fitted recommender of these settings; ranked is by what its sources knew
before `recommend.ranker_from`, at cutoffs of the test split right after a search or a listing.

Without `--truth` the engine is the shop's habit: what others met after the same text before the
test, most often first; told is where the item stands that the user met next. Clicks are no verdict
on what was not shown: which results a page showed and in which order no data here tell. With
`--truth` the shop is the simulated one: the results are all items that a search asks for, the
engine puts the most wanted first, and told is NDCG by how well each truly suits the user. Writes
benchmarks/results/recommend.json.
"""

import argparse
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import save_result
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from simulated import add_appeal, simulated_shop

from profile_lib.arrays.groups import index_within_group, slice_batches
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.metrics import ranking as ranks
from profile_lib.metrics.bootstrap import paired_bootstrap_interval
from profile_lib.model.checkpoint import load_model
from profile_lib.pipelines.fit_recommender import PAST_RETRIEVAL_FOLDER
from profile_lib.pipelines.ranker_examples import CUTOFF_KEY, write_ranker_examples
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.serving.listing import ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility, ListRules
from profile_lib.recommend.serving.requests import REQUEST_COLUMNS
from profile_lib.recommend.serving.search import rerank_results
from profile_lib.spark.moments import midnight
from profile_lib.spark.session import start_spark
from profile_lib.tables import IDENTITY

PERSONALISATION = (0.0, 0.25, 0.5, 0.75, 1.0)
RESULTS, K, RESAMPLES = 20, 10, 1000
MAX_REQUESTS_PER_BATCH = 64
ALL = 10**6
METRICS_SCHEMA = "user_id string, request long, personalisation double, ndcg double, mrr double"


def select_search_requests(ranker_examples: DataFrame, kinds: list[str]) -> DataFrame:
    """The test cutoffs right after a search or a listing: `query` is its text."""
    last = F.get("recent", F.lit(0))
    asked = ranker_examples.where("split = 'test'").withColumn("query", last["text"])
    return asked.where(last["event_type"].isin(*kinds) & F.col("query").isNotNull())


def habit_results(shop: ShopData, settings: Settings) -> DataFrame:
    """(query, items): what users met after a text before the test, most often first."""
    given, before = settings.recommend, F.lit(midnight(settings.examples.test_from))
    ts = F.unix_seconds("event_ts")
    text = F.coalesce("query", "text")
    is_text = F.col("event_type").isin(*given.query_event_types) & text.isNotNull()
    earlier = Window.partitionBy("user_id").orderBy("event_ts").rowsBetween(-ALL, -1)
    last = F.last(F.when(is_text, F.struct(text.alias("text"), ts.alias("ts"))), True).over(earlier)
    met = (
        shop.events.where(F.col("event_ts") < before)
        .withColumn("asked", last)
        .where(F.col("event_type").isin(*given.weights))
        .where(ts - F.col("asked.ts") <= settings.sessions.gap.total_seconds())
        .join(F.broadcast(shop.item_numbers), "item_id")
    )
    counts = met.groupBy(F.col("asked.text").alias("query"), "item").count()
    return collect_results(counts, F.col("count"), ["query"])


def collect_results(rows: DataFrame, priority: F.Column, keys: list[str]) -> DataFrame:
    """`items` by keys, the first RESULTS."""
    ordered = F.array_sort(F.collect_list(F.struct((-priority).alias("priority"), "item")))
    return rows.groupBy(*keys).agg(F.slice(ordered, 1, RESULTS)["item"].alias("items"))


def label_next_item(asked: DataFrame, results: DataFrame, numbers: DataFrame) -> DataFrame:
    """With gains of 1 for what was met next, where it is among the results, and whether the user
    meets it for the first time (`is_new`)."""
    following = F.get("relevant", F.lit(0))
    is_next = F.transform("items", lambda item: (item == following).cast("float"))
    found = asked.join(results, "query").withColumn("relevance", is_next)
    found = found.where(F.array_contains("relevance", 1.0)).where(F.size("items") > 1)
    ids = F.broadcast(numbers.withColumnsRenamed({"item_id": "next_id", "item": "next"}))
    met = F.transform("recent", lambda act: act["item_id"])
    told = found.join(ids, following == F.col("next"))
    return told.withColumn(
        "is_new", ~F.coalesce(F.array_contains(met, F.col("next_id")), F.lit(False))
    )


def label_by_truth(
    asked: DataFrame, shop: ShopData, settings: Settings, identity: DataFrame
) -> DataFrame:
    """With all items that a search asks for, the most wanted first, and how each suits the user."""
    simulated = simulated_shop(settings)
    catalogue = simulated.catalogue()
    rows = pa.table(
        {
            "query": pa.array(catalogue.query, pa.string()),
            "item_id": pa.array(catalogue.item, pa.string()),
        }
    )
    before = shop.events.where(F.col("event_ts") < F.lit(midnight(settings.examples.test_from)))
    counts = before.groupBy("item_id").count()
    items = identity.sparkSession.createDataFrame(rows).withColumn("query", F.lower("query"))
    items = items.join(F.broadcast(shop.item_numbers), "item_id").join(counts, "item_id", "left")
    pairs = asked.select(*CUTOFF_KEY, "query").join(F.broadcast(items), "query")
    told = add_appeal(pairs, identity, simulated).drop("item").join(shop.item_numbers, "item_id")
    row = F.struct((-F.coalesce("count", F.lit(0))).alias("priority"), "item", "appeal")
    ordered = told.groupBy(*CUTOFF_KEY).agg(F.array_sort(F.collect_list(row)).alias("rows"))
    lists = ordered.select(
        *CUTOFF_KEY,
        F.col("rows.item").alias("items"),
        F.col("rows.appeal").cast("array<float>").alias("relevance"),
    )
    return asked.drop("relevance").join(lists, CUTOFF_KEY).where(F.size("items") > 1)


def measure_orders(requests: DataFrame, listing: ListBuilder) -> DataFrame:
    """METRICS_SCHEMA of requests with REQUEST_COLUMNS, query, items (the engine's order) and gains."""

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
    asked, items = listing.retrieval.reader.read_requests(part), part["items"]
    user = items.value_parent_indices().to_numpy().astype(np.int64)
    item, gain = (
        part[name].flatten().to_numpy(zero_copy_only=False) for name in ("items", "relevance")
    )
    for personalisation in PERSONALISATION:
        order = rerank_results(
            listing, asked, part["query"], user, item.astype(np.int64), personalisation
        )
        rank = np.empty(len(user))
        rank[order] = index_within_group(user[order]) + 1
        of = ranks.ranking_metrics_per_user(user[gain > 0], rank[gain > 0], gain[gain > 0], K)
        columns = [
            part["user_id"], part["request"], np.full(part.num_rows, personalisation), of["ndcg"],
            of["mrr"],
        ]  # fmt: skip
        names = [column.split()[0] for column in METRICS_SCHEMA.split(", ")]
        yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names)


def summarise(found: DataFrame, measures: Sequence[str]) -> dict[str, Any]:
    """how far → means over the requests, and the interval of the lead, the users resampled."""
    frame = found.toPandas().sort_values(["personalisation", "request"])  # the test's requests
    by = {
        personalisation: rows.set_index("request")
        for personalisation, rows in frame.groupby("personalisation")
    }
    engine = by[0.0]
    result: dict[str, Any] = {"requests": len(engine), "users": engine["user_id"].nunique()}
    for personalisation, rows in by.items():
        entry = {name: round(float(rows[name].mean()), 4) for name in measures}
        lead = (rows["ndcg"] - engine["ndcg"]).groupby(engine["user_id"]).mean().to_numpy()
        interval = paired_bootstrap_interval(lead, np.zeros(len(lead)), RESAMPLES, seed=1)
        entry["ndcg_lead"] = [round(x, 4) for x in interval or ()]
        result[f"personalisation {personalisation}"] = entry
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--truth", action="store_true")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    spark = start_spark(settings.spark, "benchmark")
    store, rules = Store(spark, settings.paths.tables), settings.recommend
    model = load_served_model(settings, "search")
    shop = ShopData(store, settings, model)
    folder = Path(settings.paths.work) / "benchmark_search"
    shutil.rmtree(folder, ignore_errors=True)
    few = {"recommend.max_train_cutoffs": 100, "recommend.max_test_cutoffs": ALL}
    ranker_examples = write_ranker_examples(store, with_values(settings, few), model, shop, folder)
    asked = select_search_requests(ranker_examples, list(rules.query_event_types))
    if arguments.truth:
        requests = label_by_truth(asked, shop, settings, store.read(IDENTITY))
    else:
        requests = label_next_item(asked, habit_results(shop, settings), shop.item_numbers)
    measures = ("ndcg",) if arguments.truth else ("ndcg", "mrr")  # by truth every result has a gain
    known = RetrievalModel.load(
        Path(settings.paths.work) / f"train_{rules.name}" / PAST_RETRIEVAL_FOLDER
    )
    ranker = load_model(f"{settings.paths.models}/{rules.name}", with_encoder=False)[0]
    offers, lists = (
        Eligibility.all_eligible(len(known.catalog)),
        ListRules(**rules.lists.model_dump()),
    )
    listing = ListBuilder.from_model(known, ranker, rules.task_weights, lists, offers)
    result = {
        "test_cutoffs": ranker_examples.where("split = 'test'").count(),
        "n_search_requests": asked.count(),
        "engine": "popularity" if arguments.truth else "habit",
        "all_requests": summarise(measure_orders(requests, listing), measures),
    }
    if not arguments.truth:
        first = measure_orders(requests.where("is_new"), listing)
        result["first_interactions"] = summarise(first, measures)
    print(result)
    save_result("recommend", f"search, {Path(arguments.config).stem}", result)


if __name__ == "__main__":
    main()
