"""events, items, behaviour and the serving model → a recommender: its sources, and its ranker.

The ranker learns at cutoffs from `ranker_from` on, by what sources knew of the time before it; the
sources that serve know all.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.recommend import RecommendSettings
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
from profile_lib.pipelines.save_model import save_trained_model
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.pipelines.training_checkpoints import remove_training
from profile_lib.pipelines.training_inputs import prepare_initial_model, prepare_snapshot
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.pipelines.training_rows import RowSchema
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.ranking.examples import (
    REQUEST_KEY,
    build_candidate_rows,
    build_impression_rows,
    count_found_by_source,
)
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER
from profile_lib.spark.moments import midnight
from profile_lib.training.data.snapshot import load_snapshot
from profile_lib.training.distributed.launch import check_batch_division
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.evaluation.report import format_report
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_lock import lock_training_name

PAST_RETRIEVAL_FOLDER = "past"  # the folder of what was learned before `ranker_from`
ALL_ROWS = 2**31 - 1  # of validation and test: requests are drawn whole, beforehand


def run(store: Store, settings: Settings) -> None:
    """Fit a recommender and its report into `paths.models`, whole or not at all.

    Raises InputError where a day is given, the model reads no text, or a split has no cutoff after
    which an item was met.
    """
    given, model = settings.recommend, load_served_model(settings, "fit_recommender")
    ranker = build_ranker_settings(settings)
    size = ranker.training
    check_batch_division(size.batch_size, size.numeric_batch_size, size.shards, size.n_processes)
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"train_{given.name}"
    tracker = Tracker.from_settings(settings.tracking.model_dump())
    with lock_training_name(given.name, models, work), explain_full_disk(work):
        remove_training(store.spark, ranker, folder)
        folder.mkdir(parents=True)
        shop = ShopData(store, settings, model)
        print(
            f"  {len(shop.item_ids):,} items, {len(shop.query_texts.texts):,} searches and listings"
        )
        ranker_examples = write_ranker_examples(store, settings, model, shop, folder)
        past = shop.fit_retrieval(
            midnight(given.ranker_from), ranker_examples.where(F.col("split") == BEFORE_RANKER)
        )
        past.save(folder / PAST_RETRIEVAL_FOLDER)
        found = measure_candidate_recall(ranker_examples, given, folder)
        impressions = write_impression_examples(store, settings, model, shop, folder)
        prepare_ranker(ranker_examples, ranker, shop, past, folder, impressions)
        snapshot = load_snapshot(str(folder / "snapshot"))
        fitted = fit(store.spark, ranker, folder, snapshot, log_training_progress)
        shop.fit_retrieval(shop.now, ranker_examples).save(folder / RETRIEVAL_FOLDER)
        manifest = save_trained_model(
            models, tracker, given.name, fitted, folder / INITIAL_MODEL,
            recorded_settings=settings.model_dump(include={"recommend"}), sections={"candidates": found},
            files={}, folders={RETRIEVAL_FOLDER: folder / RETRIEVAL_FOLDER},
        )  # fmt: skip
    print(f"{manifest.model_version}: on the candidates of the test cutoffs")
    print("\n".join(format_report(fitted.report)))
    print("\n".join(format_candidate_recall(found)))


def build_ranker_settings(settings: Settings) -> Settings:
    """Those of the model that ranks: it reads numbers alone, and its tasks are what is worth."""
    given = settings.recommend
    tasks = [
        {"name": name, "label": name, "kind": "binary", "weight": 1.0}
        for name in given.task_weights
    ]
    fixed = {
        "training.name": given.name,
        "training.evaluation_rows": ALL_ROWS,
        "training.ablations": {},
        "model.text": False,
        "model.numbers": True,
        "model.tasks": tasks,
    }
    return with_values(settings, given.ranker | fixed)


def prepare_ranker(
    ranker_examples: DataFrame,
    ranker: Settings,
    shop: ShopData,
    past: RetrievalModel,
    folder: Path,
    impressions: DataFrame | None,
) -> None:
    """Write to `folder` what ranks read, and the model to start from.

    Rows are of the candidates of `past` at the cutoffs of `ranker_examples`, which tell what suits nobody,
    and of what was `impressions`, where that is known, which tells what suits better.
    """
    given, at = ranker.recommend, folder / PAST_RETRIEVAL_FOLDER
    asked = ranker_examples.where(F.col("split") != BEFORE_RANKER)
    version, candidates_per_source = hash_folder(at, 12), given.lists.candidates_per_source
    rows = build_candidate_rows(
        asked,
        str(at),
        version,
        candidates_per_source=candidates_per_source,
        negatives_per_cutoff=given.negatives_per_cutoff,
        seed=given.seed,
    )
    if impressions is not None:
        rows = rows.unionByName(
            build_impression_rows(
                impressions, str(at), version, candidates_per_source=candidates_per_source
            )
        )
    rows = write_and_reload(rows, folder / "rows")
    read = RowSchema(
        past.feature_names, past.n_vector_numbers, key=(*REQUEST_KEY, "item"), request=REQUEST_KEY
    )
    snapshot = prepare_snapshot(rows, ranker, folder, read)
    encoder = encoder_folder(ranker.model.encoder)
    prepare_initial_model(
        ranker_examples.sparkSession, snapshot, ranker, folder, encoder, shop.versions, read
    )


def measure_candidate_recall(
    ranker_examples: DataFrame, given: RecommendSettings, folder: Path
) -> dict[str, Any]:
    """source → the share of the items met after the test cutoffs that it names, and how many items
    it names a cutoff."""
    at = folder / PAST_RETRIEVAL_FOLDER
    test = ranker_examples.where("split = 'test'")
    parts = count_found_by_source(
        test, str(at), hash_folder(at, 12), candidates_per_source=given.lists.candidates_per_source
    )
    sums = parts.groupBy("source").agg(
        *[F.sum(n).alias(n) for n in ("found", "relevant", "proposed")]
    )
    n = test.count()
    return {
        row["source"]: {"recall": row["found"] / row["relevant"], "proposed": row["proposed"] / n}
        for row in sums.collect()
    }


def format_candidate_recall(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The same as lines of a table, the best source first."""
    ordered = sorted(found.items(), key=lambda pair: -pair[1]["recall"])
    lines = [f"  {name:<22}{of['recall']:>10.1%}{of['proposed']:>12,.0f}" for name, of in ordered]
    return [f"  {'items met later':<22}{'found':>10}{'candidates':>12}", *lines]
