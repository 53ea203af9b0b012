"""Fit a recommender's candidate sources and its ranker.

The ranker learns from cutoffs on or after `recommend.ranker_from`, with candidates of sources that
are fitted to earlier events. The sources that serve are fitted to all events.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.files import explain_full_disk
from profile_lib.fingerprint import hash_folder
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.impression_examples import write_impression_examples
from profile_lib.pipelines.model_training import fit
from profile_lib.pipelines.ranker_examples import (
    BEFORE_RANKER,
    write_and_reload,
    write_ranker_examples,
)
from profile_lib.pipelines.recommender_inputs import ShopData
from profile_lib.pipelines.recommender_sources import read_recommend_sources
from profile_lib.pipelines.save_model import save_trained_model
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.pipelines.training_checkpoints import remove_training
from profile_lib.pipelines.training_inputs import prepare_initial_model, prepare_snapshot
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.pipelines.training_rows import RowSchema
from profile_lib.recommend.ranking.examples import (
    REQUEST_KEY,
    build_candidate_rows,
    build_impression_rows,
    count_found_by_source,
)
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER
from profile_lib.spark.timestamps import midnight
from profile_lib.training.data.snapshot import load_snapshot
from profile_lib.training.distributed.launch import check_batch_division
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.evaluation.report import format_report
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_lock import lock_training_name

log = logging.getLogger(__name__)

PAST_RETRIEVAL_FOLDER = "past"  # the retrieval model that is fitted to events before `ranker_from`
VERSION_DIGITS = 12  # hexadecimal digits of a retrieval model's version
ALL_ROWS = 2**31 - 1  # all rows are evaluated, because their requests were sampled before


def run(store: Store, settings: Settings) -> None:
    """Fit a recommender and write it to `paths.models`, complete or not at all.

    Raises InputError if a source's setting is invalid, the model reads no text, a split has no
    cutoff that an interaction follows, or the effect of slots on clicks cannot be estimated.
    """
    config = settings.recommend
    read_recommend_sources(config)
    model = load_served_model(settings, "fit_recommender")
    ranker = build_ranker_settings(settings)
    size = ranker.training
    check_batch_division(size.batch_size, size.numeric_batch_size, size.shards, size.n_processes)
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"train_{config.name}"
    tracker = Tracker.from_settings(settings.tracking.model_dump())
    with lock_training_name(config.name, models, work), explain_full_disk(work):
        remove_training(store.spark, ranker, folder)
        folder.mkdir(parents=True)
        shop = ShopData(store, settings, model)
        n_texts = len(shop.query_texts.texts)
        log.info("  %s items, %s query texts", f"{len(shop.item_ids):,}", f"{n_texts:,}")
        ranker_examples = write_ranker_examples(store, settings, model, shop, folder)
        past = shop.fit_retrieval(
            midnight(config.ranker_from), ranker_examples.where(F.col("split") == BEFORE_RANKER)
        )
        past.save(folder / PAST_RETRIEVAL_FOLDER)
        recall = measure_candidate_recall(
            ranker_examples, folder, config.lists.candidates_per_source
        )
        impressions = write_impression_examples(store, settings, model, shop, folder)
        prepare_ranker(ranker_examples, ranker, shop, past, folder, impressions)
        snapshot = load_snapshot(str(folder / "snapshot"))
        fitted = fit(store.spark, ranker, folder, snapshot, log_training_progress)
        shop.fit_retrieval(shop.now, ranker_examples).save(folder / RETRIEVAL_FOLDER)
        manifest = save_trained_model(
            models,
            tracker,
            config.name,
            fitted,
            folder / INITIAL_MODEL,
            recorded_settings=settings.model_dump(include={"recommend"}),
            sections={"candidates": recall},
            files={},
            folders={RETRIEVAL_FOLDER: folder / RETRIEVAL_FOLDER},
        )
    log.info("%s: measured on the candidates of the test cutoffs", manifest.model_version)
    log.info("\n".join(format_report(fitted.report)))
    log.info("\n".join(format_candidate_recall(recall)))


def build_ranker_settings(settings: Settings) -> Settings:
    """Return the settings by which the ranker is trained, on numbers alone."""
    config = settings.recommend
    tasks = [
        {"name": name, "label": name, "kind": "binary", "weight": 1.0}
        for name in config.task_weights
    ]
    fixed = {
        "training.name": config.name,
        "training.evaluation_rows": ALL_ROWS,
        "training.ablations": {},
        "model.text": False,
        "model.numbers": True,
        "training.joins_baselines": False,  # a list is served in a millisecond
        "model.tasks": tasks,
    }
    return with_values(settings, config.ranker | fixed)


def prepare_ranker(
    ranker_examples: DataFrame,
    ranker: Settings,
    shop: ShopData,
    past: RetrievalModel,
    folder: Path,
    impressions: DataFrame | None,
) -> None:
    """Write the ranker's training rows and its initial model to `folder`.

    Rows are the candidates of `past` at the cutoffs of `ranker_examples`, and the `impressions` if
    there are any: these show finer differences, because users interact with few candidates.
    """
    config = ranker.recommend
    past_folder = folder / PAST_RETRIEVAL_FOLDER
    version = hash_folder(past_folder, VERSION_DIGITS)
    rows = build_candidate_rows(
        ranker_examples.where(F.col("split") != BEFORE_RANKER),
        str(past_folder),
        version,
        candidates_per_source=config.lists.candidates_per_source,
        negatives_per_cutoff=config.negatives_per_cutoff,
        seed=config.seed,
    )
    if impressions is not None:
        impression_rows = build_impression_rows(
            impressions,
            str(past_folder),
            version,
            candidates_per_source=config.lists.candidates_per_source,
        )
        rows = rows.unionByName(impression_rows)
    rows = write_and_reload(rows, folder / "rows")
    row_schema = RowSchema(
        past.feature_names, past.n_vector_numbers, key=(*REQUEST_KEY, "item"), request=REQUEST_KEY
    )
    snapshot = prepare_snapshot(rows, ranker, folder, row_schema)
    encoder = encoder_folder(ranker.model.encoder)
    prepare_initial_model(
        ranker_examples.sparkSession, snapshot, ranker, folder, encoder, shop.versions, row_schema
    )


def measure_candidate_recall(
    ranker_examples: DataFrame, folder: Path, candidates_per_source: int
) -> dict[str, Any]:
    """Measure the recall and the number of proposals of each source at the test cutoffs.

    `recall` is the share of the relevant items that a source proposes, `proposed` its mean number
    of items per cutoff.
    """
    past_folder = folder / PAST_RETRIEVAL_FOLDER
    test = ranker_examples.where("split = 'test'")
    counts = count_found_by_source(
        test,
        str(past_folder),
        hash_folder(past_folder, VERSION_DIGITS),
        candidates_per_source=candidates_per_source,
    )
    sums = counts.groupBy("source").agg(
        *[F.sum(name).alias(name) for name in ("found", "relevant", "proposed")]
    )
    n_cutoffs = test.count()
    return {
        row["source"]: {
            "recall": row["found"] / row["relevant"],
            "proposed": row["proposed"] / n_cutoffs,
        }
        for row in sums.collect()
    }


def format_candidate_recall(recall: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Format the recall as lines of a table, the best source first."""
    ordered = sorted(recall.items(), key=lambda entry: -entry[1]["recall"])
    lines = [f"  {name:<22}{r['recall']:>10.1%}{r['proposed']:>12,.0f}" for name, r in ordered]
    return [f"  {'source':<22}{'recall':>10}{'candidates':>12}", *lines]
