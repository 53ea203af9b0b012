"""Compare recommendation methods by how well they find held-out items."""

import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.types import Floats
from profile_lib.config.evaluation import EvaluateSettings
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.files import write_text_atomically
from profile_lib.metrics import ranking_spark
from profile_lib.pipelines.person_data import read_last_person_events
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.recommender_methods import FittedMethods, Split
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.recommend.candidates.registry import SourceSpec, read_source_specs
from profile_lib.recommend.candidates.source import Need
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
from profile_lib.spark.session import cached
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import ITEMS

log = logging.getLogger(__name__)

REPORT = "recommendations.json"
LOGGED_MEASURES = ("ndcg", "hit_rate", "mrr", "coverage", "novelty", "gini")
COMPARED_MEASURES = ("ndcg", "hit_rate")


def run(store: Store, settings: Settings) -> None:
    """Measure the methods of `evaluate` on held-out items, and write the report.

    Weights and epochs are chosen on the validation items, which come before those of the test. Then
    all methods except SASRec are fitted again to histories that include the validation items.
    Raises InputError if a split has no relevant item, a setting of a method is invalid, or a file
    cannot be read.
    """
    config = settings.evaluate
    specs = read_source_specs(
        config.chosen, "evaluate.methods", frozenset({Need.TEXTS, Need.VALIDATION})
    )
    steps, vectors = _read_histories_and_vectors(store, settings, specs)
    with ExitStack() as stack:
        steps = stack.enter_context(cached(steps))
        test = _cache_split(stack, _split(steps, config.test_from))
        validation = _cache_split(stack, _split(test.histories, config.validation_from))
        n_users = {"validation": validation.requests.count(), "test": test.requests.count()}
        if not all(n_users.values()):
            raise InputError(
                f"evaluate: found {n_users} users with a held-out item; wanted some in both: move "
                "evaluate.validation_from or evaluate.test_from"
            )
        log.info("  %s items; users: %s", f"{len(vectors):,}", n_users)
        methods = FittedMethods(
            specs,
            validation,
            test,
            vectors,
            k=config.k,
            approximate_search_from=settings.recommend.approximate_search_from,
            folder=Path(settings.paths.work) / "evaluate_recommendations",
        )
        entries = _measure_methods(stack, config, methods)
    report = {"users": n_users, "items": len(vectors), "k": config.k, "methods": entries}
    path = Path(config.report) / REPORT
    write_text_atomically(path, json.dumps(report, indent=1))
    log.info("  %s", path)


def _measure_methods(
    stack: ExitStack, config: EvaluateSettings, methods: FittedMethods
) -> dict[str, Any]:
    """Return each method's measures, choices and lead over the baseline, per seed."""
    others = [name for name in config.chosen if name != config.baseline_method]
    report: dict[str, Any] = {}
    baseline: DataFrame | None = None
    for name in (config.baseline_method, *others):
        for seed in methods.seeds(name, config.seeds):
            source = methods.fit(name, seed)
            score_all = partial(source.score_all, n_items=len(methods.vectors))
            measures = _measure(methods, score_all)
            measures = stack.enter_context(cached(measures))
            entry = mean_measures(measures) | source.choices
            if seed == config.seeds[0]:
                entry |= _measure_variety(methods, score_all)
            if baseline is None:
                baseline = measures
            else:
                entry["lead"] = {
                    measure_name: ranking_spark.paired_bootstrap_interval(
                        measures, baseline, measure_name, n_resamples=config.n_resamples, seed=seed
                    )
                    for measure_name in COMPARED_MEASURES
                }
            report.setdefault(name, {})[str(seed)] = entry
            log.info("  %s%s  %s", f"{name:<16}", f"{seed:>3}", format_entry(entry))
    return report


def _measure(methods: FittedMethods, score_all: ScoreAllItems) -> DataFrame:
    """Measure a source's lists for the users of the test split: a row per user."""
    return measure(methods.test.requests, score_all, n_items=len(methods.vectors), k=methods.k)


def mean_measures(measures: DataFrame) -> dict[str, float]:
    """Average each measure over the users."""
    names = [name for name in measures.columns if name != "user_id"]
    row = measures.selectExpr(*[f"avg({name}) AS {name}" for name in names]).collect()[0]
    return {name: float(row[name]) for name in names}


def format_entry(entry: Mapping[str, Any]) -> str:
    """Format a method's measures as one line."""
    values = ", ".join(f"{name} {entry[name]:.4f}" for name in LOGGED_MEASURES if name in entry)
    lead = (entry.get("lead") or {}).get("ndcg")
    return values + (f"; leads by {lead[0]:.4f} to {lead[1]:.4f}" if lead else "")


def _measure_variety(methods: FittedMethods, score_all: ScoreAllItems) -> dict[str, float]:
    """Return coverage, novelty and Gini coefficient of the lists."""
    n_items = len(methods.vectors)
    listed = list_top_items(methods.test.requests, score_all, n_items=n_items, k=methods.k)
    interactions = methods.test.histories.select(F.explode("items").alias("item_id"))
    counts = interactions.groupBy("item_id").agg(F.count("*").alias("n_interactions"))
    all_items = interactions.sparkSession.range(n_items)
    numbers = all_items.select(F.col("id").cast("int").alias("item_id"))
    row = ranking_spark.catalog_metrics(
        listed.withColumnRenamed("item", "item_id"),
        numbers.join(counts, "item_id", "left").fillna(0, ["n_interactions"]),
    )
    return {name: float(value) for name, value in row.collect()[0].asDict().items()}


def _read_histories_and_vectors(
    store: Store, settings: Settings, specs: Mapping[str, SourceSpec]
) -> tuple[DataFrame, Floats]:
    """Read all histories, and item text vectors if a method needs them."""
    config = settings.evaluate
    if config.interactions is not None:
        steps, item_ids = read_interactions(store.spark, config.interactions)
    else:
        numbers = number_items(store.read(ITEMS))
        item_ids = numbers.toArrow()["item_id"].combine_chunks()
        events = read_last_person_events(store, settings)
        steps = build_histories(events, numbers, settings.recommend.weights, config.max_steps)
    if not any(Need.TEXTS in spec.source.needs for spec in specs.values()):
        return steps, np.zeros((len(item_ids), 1), np.float32)
    if config.attributes is not None:
        return steps, read_attribute_vectors(config.attributes, item_ids)
    if config.interactions is not None:
        raise InputError(
            "evaluate.methods: one reads item texts, but the file evaluate.interactions has none; "
            "wanted evaluate.attributes as well, or other methods"
        )
    model = load_served_model(settings, "evaluate_recommendations")
    return steps, np.nan_to_num(ShopData(store, settings, model).vectors)


def _split(steps: DataFrame, day: str | None) -> Split:
    """Hold out the interactions from `day` on, or else each user's last new item."""
    if day is None:
        requests = leave_one_out(steps)
        return Split(requests.select("user_id", *STEP_COLUMNS), requests)
    cutoff = midnight(day)
    return Split(histories_before(steps, cutoff), split_at_cutoff(steps, cutoff))


def _cache_split(stack: ExitStack, split: Split) -> Split:
    return Split(*(stack.enter_context(cached(frame)) for frame in split))
