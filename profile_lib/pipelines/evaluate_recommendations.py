"""Histories → how well ways of recommending find what users met next, beside each other."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import Floats
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.files import write_text_atomically
from profile_lib.metrics import ranking_spark as ranks_spark
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.recommender_methods import Methods, Split, mean_measures
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.recommend.data.histories import STEP_COLUMNS, build_histories, number_items
from profile_lib.recommend.data.interactions import read_attribute_vectors, read_interactions
from profile_lib.recommend.evaluation.protocols import (
    ScoreAllItems,
    histories_before,
    leave_one_out,
    list_top_items,
    measure,
    split_at_cutoff,
)
from profile_lib.spark.moments import midnight
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, ITEMS

REPORT = "recommendations.json"
PRINTED_MEASURES = ("ndcg", "hit_rate", "mrr", "coverage", "novelty", "gini")


def run(store: Store, settings: Settings) -> None:
    """Measure the ways of `evaluate` on what users met last, or after a day; write the report.

    Weights and epochs are chosen on validation items alone, which lie before those of the test;
    then all but SASRec are fitted again, these items among what they know. Raises InputError where
    a day is given, nothing is to be found, or a file cannot be read.
    """
    given = settings.evaluate
    steps, vectors = _histories_and_vectors(store, settings)
    with ExitStack() as stack:
        steps = stack.enter_context(cached(steps))
        test = _cache_split(stack, _split(steps, given.test_from))
        validation = _cache_split(stack, _split(test.histories, given.validation_from))
        n = {"validation": validation.requests.count(), "test": test.requests.count()}
        if not all(n.values()):
            raise InputError(f"evaluate: {n} users with an item to be found; wanted some in both")
        print(f"  {len(vectors):,} items; users: {n}", flush=True)
        methods = Methods(
            given.chosen, validation, test, vectors, k=given.k,
            approximate_search_from=settings.recommend.approximate_search_from,
            work=Path(settings.paths.work) / "evaluate_recommendations",
        )  # fmt: skip
        report = _measure_methods(stack, settings, methods)
    report_file = Path(given.report) / REPORT
    told = {"users": n, "items": len(vectors), "k": given.k, "methods": report}
    write_text_atomically(report_file, json.dumps(told, indent=1))
    print(f"  {report_file}")


def _measure_methods(stack: ExitStack, settings: Settings, methods: Methods) -> dict[str, Any]:
    """way → seed → its measures, what it chose, and the intervals of its lead over the way that
    all are compared with."""
    given, n_items = settings.evaluate, len(methods.vectors)
    first = [
        given.baseline_method,
        *(name for name in given.chosen if name != given.baseline_method),
    ]
    report: dict[str, Any] = {}
    theirs: DataFrame | None = None
    for name in first:
        for seed in methods.seeds_for(name, given.seeds):
            score, chosen = methods.fit(name, seed)
            found = measure(methods.test.requests, score, n_items=n_items, k=given.k)
            found = stack.enter_context(cached(found))
            entry = mean_measures(found) | chosen
            entry |= _variety(methods, score, given.k) if seed == given.seeds[0] else {}
            if theirs is not None:
                entry["lead"] = {
                    of: ranks_spark.paired_bootstrap_interval(
                        found, theirs, of, n_resamples=given.n_resamples, seed=seed
                    )
                    for of in ("ndcg", "hit_rate")
                }
            theirs = found if theirs is None else theirs
            report.setdefault(name, {})[str(seed)] = entry
            print(f"  {name:<16}{seed:>3}  {format_entry(entry)}", flush=True)
    return report


def format_entry(entry: dict[str, Any]) -> str:
    """One line of it."""
    values = ", ".join(f"{name} {entry[name]:.4f}" for name in PRINTED_MEASURES if name in entry)
    lead = (entry.get("lead") or {}).get("ndcg")
    return values + (f"; leads by {lead[0]:.4f} to {lead[1]:.4f}" if lead else "")


def _variety(methods: Methods, score: ScoreAllItems, k: int) -> dict[str, float]:
    """Coverage, novelty and Gini of the lists."""
    n_items = len(methods.vectors)
    listed = list_top_items(methods.test.requests, score, n_items=n_items, k=k)
    met = methods.test.histories.select(F.explode("items").alias("item_id"))
    all_items = met.sparkSession.range(n_items).select(F.col("id").cast("int").alias("item_id"))
    seen = all_items.join(
        met.groupBy("item_id").agg(F.count("*").alias("n_interactions")), "item_id", "left"
    )
    row = ranks_spark.catalog_metrics(
        listed.withColumnRenamed("item", "item_id"), seen.fillna(0, ["n_interactions"])
    )
    return {name: float(value) for name, value in row.collect()[0].asDict().items()}


def _histories_and_vectors(store: Store, settings: Settings) -> tuple[DataFrame, Floats]:
    """All histories, and the vectors of the items' texts, (n_items, d), where a way reads them."""
    given = settings.evaluate
    if given.interactions is not None:
        steps, item_ids = read_interactions(store.spark, given.interactions)
    else:
        events, items = store.read(EVENTS), store.read(ITEMS)
        numbers = number_items(items)
        item_ids = numbers.toArrow()["item_id"].combine_chunks()
        steps = build_histories(events, numbers, settings.recommend.weights, given.max_steps)
    if not any(way.kind == "text_neighbours" for way in given.chosen.values()):
        return steps, np.zeros((len(item_ids), 1), np.float32)
    if given.attributes is not None:
        return steps, read_attribute_vectors(given.attributes, item_ids)
    if given.interactions is not None:
        raise InputError(
            "evaluate.methods: one reads texts, and a file of interactions has none; wanted "
            "evaluate.attributes"
        )
    model = load_served_model(settings, "evaluate_recommendations")
    return steps, np.nan_to_num(ShopData(store, settings, model).vectors)


def _split(steps: DataFrame, day: str | None) -> Split:
    """What is to be found from a day on, or last."""
    if day is None:
        asked = leave_one_out(steps)
        return Split(asked.select("user_id", *STEP_COLUMNS), asked)
    return Split(histories_before(steps, midnight(day)), split_at_cutoff(steps, midnight(day)))


def _cache_split(stack: ExitStack, split: Split) -> Split:
    return Split(*(stack.enter_context(cached(frame)) for frame in split))
