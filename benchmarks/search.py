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
from measure import save
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from simulated import shop_of, with_appeal

from jobs.fit_recommender import PAST
from jobs.known_shop import KnownShop
from jobs.pasts import KEY, write_pasts
from jobs.profiling import served_model
from profile_lib import ranks
from profile_lib.config import Settings, load_settings, with_values
from profile_lib.model.checkpoint import load_model
from profile_lib.recommend.asking import READ
from profile_lib.recommend.learned import Learned
from profile_lib.recommend.listing import Listing
from profile_lib.recommend.recommender import Offers, Rules
from profile_lib.recommend.search import rerank_results
from profile_lib.segments import in_parts, place_within
from profile_lib.spark import start_spark
from profile_lib.store import Store
from profile_lib.tables import IDENTITY
from profile_lib.timeline import midnight

HOW_FAR = (0.0, 0.25, 0.5, 0.75, 1.0)
RESULTS, K, RESAMPLES = 20, 10, 1000
AT_ONCE = 64
ALL = 10**6
MEASURED = "user_id string, request long, how_far double, ndcg double, mrr double"


def asked_for(pasts: DataFrame, kinds: list[str]) -> DataFrame:
    """The test cutoffs right after a search or a listing: `query` is its text."""
    last = F.get("recent", F.lit(0))
    asked = pasts.where("split = 'test'").withColumn("query", last["text"])
    return asked.where(last["event_type"].isin(*kinds) & F.col("query").isNotNull())


def habit(shop: KnownShop, settings: Settings) -> DataFrame:
    """(query, items): what users met after a text before the test, most often first."""
    given, before = settings.recommend, F.lit(midnight(settings.examples.test_from))
    ts = F.unix_seconds("event_ts")
    text = F.coalesce("query", "text")
    is_text = F.col("event_type").isin(*given.text_kinds) & text.isNotNull()
    earlier = Window.partitionBy("user_id").orderBy("event_ts").rowsBetween(-ALL, -1)
    last = F.last(F.when(is_text, F.struct(text.alias("text"), ts.alias("ts"))), True).over(earlier)
    met = (
        shop.events.where(F.col("event_ts") < before)
        .withColumn("asked", last)
        .where(F.col("event_type").isin(*given.weights))
        .where(ts - F.col("asked.ts") <= settings.sessions.gap.total_seconds())
        .join(F.broadcast(shop.numbers), "item_id")
    )
    counts = met.groupBy(F.col("asked.text").alias("query"), "item").count()
    return in_order(counts, F.col("count"), ["query"])


def in_order(rows: DataFrame, worth: F.Column, keys: list[str]) -> DataFrame:
    """`items` by keys, the first RESULTS."""
    ordered = F.array_sort(F.collect_list(F.struct((-worth).alias("worth"), "item")))
    return rows.groupBy(*keys).agg(F.slice(ordered, 1, RESULTS)["item"].alias("items"))


def met_next(asked: DataFrame, results: DataFrame, numbers: DataFrame) -> DataFrame:
    """With gains of 1 for what was met next, where it is among the results, and whether the user
    meets it for the first time (`is_new`)."""
    following = F.get("wanted", F.lit(0))
    is_next = F.transform("items", lambda item: (item == following).cast("float"))
    found = asked.join(results, "query").withColumn("gains", is_next)
    found = found.where(F.array_contains("gains", 1.0)).where(F.size("items") > 1)
    ids = F.broadcast(numbers.withColumnsRenamed({"item_id": "next_id", "item": "next"}))
    met = F.transform("recent", lambda act: act["item_id"])
    told = found.join(ids, following == F.col("next"))
    return told.withColumn(
        "is_new", ~F.coalesce(F.array_contains(met, F.col("next_id")), F.lit(False))
    )


def truly(asked: DataFrame, shop: KnownShop, settings: Settings, identity: DataFrame) -> DataFrame:
    """With all items that a search asks for, the most wanted first, and how each suits the user."""
    simulated = shop_of(settings)
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
    items = items.join(F.broadcast(shop.numbers), "item_id").join(counts, "item_id", "left")
    pairs = asked.select(*KEY, "query").join(F.broadcast(items), "query")
    told = with_appeal(pairs, identity, simulated).drop("item").join(shop.numbers, "item_id")
    row = F.struct((-F.coalesce("count", F.lit(0))).alias("worth"), "item", "appeal")
    ordered = told.groupBy(*KEY).agg(F.array_sort(F.collect_list(row)).alias("rows"))
    lists = ordered.select(
        *KEY,
        F.col("rows.item").alias("items"),
        F.col("rows.appeal").cast("array<float>").alias("gains"),
    )
    return asked.drop("gains").join(lists, KEY).where(F.size("items") > 1)


def measured(requests: DataFrame, listing: Listing) -> DataFrame:
    """MEASURED of requests with READ, query, items (the engine's order) and gains."""

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in in_parts(batches, AT_ONCE):
            yield from _measured(part, listing)

    return requests.select(
        "user_id", F.xxhash64(*KEY).alias("request"), *READ, "query", "items", "gains"
    ).mapInArrow(rows, MEASURED)


def _measured(part: pa.RecordBatch, listing: Listing) -> Iterator[pa.RecordBatch]:
    asked, items = listing.known.reader.asked(part), part["items"]
    user = items.value_parent_indices().to_numpy().astype(np.int64)
    item, gain = (
        part[name].flatten().to_numpy(zero_copy_only=False) for name in ("items", "gains")
    )
    for how_far in HOW_FAR:
        order = rerank_results(listing, asked, part["query"], user, item.astype(np.int64), how_far)
        rank = np.empty(len(user))
        rank[order] = place_within(user[order]) + 1
        of = ranks.by_user(user[gain > 0], rank[gain > 0], gain[gain > 0], K)
        columns = [
            part["user_id"], part["request"], np.full(part.num_rows, how_far), of["ndcg"],
            of["mrr"],
        ]  # fmt: skip
        names = [column.split()[0] for column in MEASURED.split(", ")]
        yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names)


def told(found: DataFrame, measures: Sequence[str]) -> dict[str, Any]:
    """how far → means over the requests, and the interval of the lead, the users resampled."""
    frame = found.toPandas().sort_values(["how_far", "request"])  # the test's requests
    by = {how_far: rows.set_index("request") for how_far, rows in frame.groupby("how_far")}
    engine = by[0.0]
    result: dict[str, Any] = {"requests": len(engine), "users": engine["user_id"].nunique()}
    for how_far, rows in by.items():
        entry = {name: round(float(rows[name].mean()), 4) for name in measures}
        lead = (rows["ndcg"] - engine["ndcg"]).groupby(engine["user_id"]).mean().to_numpy()
        interval = ranks.paired_interval(lead, np.zeros(len(lead)), RESAMPLES, seed=1)
        entry["ndcg_lead"] = [round(x, 4) for x in interval or ()]
        result[f"how_far {how_far}"] = entry
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--truth", action="store_true")
    given = parser.parse_args()
    settings = load_settings(given.config, given.set)
    spark = start_spark(settings.spark, "benchmark")
    store, rules = Store(spark, settings.paths.tables), settings.recommend
    model = served_model(settings, "search")
    shop = KnownShop(store, settings, model)
    folder = Path(settings.paths.work) / "benchmark_search"
    shutil.rmtree(folder, ignore_errors=True)
    few = {"recommend.cutoffs": 100, "recommend.test_cutoffs": ALL}
    pasts = write_pasts(store, with_values(settings, few), model, shop, folder)
    asked = asked_for(pasts, list(rules.text_kinds))
    if given.truth:
        requests = truly(asked, shop, settings, store.read(IDENTITY))
    else:
        requests = met_next(asked, habit(shop, settings), shop.numbers)
    measures = ("ndcg",) if given.truth else ("ndcg", "mrr")  # by truth every result has a gain
    known = Learned.load(Path(settings.paths.work) / f"train_{rules.name}" / PAST)
    ranker = load_model(f"{settings.paths.models}/{rules.name}", with_encoder=False)[0]
    offers, lists = Offers.all(len(known.catalogue)), Rules(**rules.lists.model_dump())
    listing = Listing.of(known, ranker, rules.worth, lists, offers)
    result = {
        "test_cutoffs": pasts.where("split = 'test'").count(),
        "right_after_a_search_or_listing": asked.count(),
        "engine": "most wanted" if given.truth else "habit",
        "of all": told(measured(requests, listing), measures),
    }
    if not given.truth:
        first = measured(requests.where("is_new"), listing)
        result["of those who meet it for the first time"] = told(first, measures)
    print(result)
    save("recommend", f"search, {Path(given.config).stem}", result)


if __name__ == "__main__":
    main()
