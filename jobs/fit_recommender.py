"""events, items, behaviour and the serving model → a recommender: its sources, and its ranker.

The ranker learns at cutoffs from `ranker_from` on, by what sources knew of the time before it; the
sources that serve know all.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.command import main
from jobs.fitting import Rows, fit, forget_training, prepare_snapshot, prepare_start, print_progress
from jobs.known_shop import KnownShop
from jobs.pasts import BEFORE, write_pasts, written
from jobs.profiling import served_model
from jobs.saving import save_fitted
from jobs.shown import write_shown
from profile_lib.config import Settings, with_values
from profile_lib.encoders import encoder_folder
from profile_lib.errors import InputError
from profile_lib.recommend.learned import Learned, version_of
from profile_lib.recommend.listing import LEARNED
from profile_lib.recommend.ranker_rows import REQUEST, found_by_source, ranker_rows, shown_rows
from profile_lib.sections.recommending import RecommendSettings
from profile_lib.store import Store
from profile_lib.timeline import midnight
from profile_lib.tracking import Tracker
from profile_lib.training.evaluate import report_lines
from profile_lib.training.folders import told_when_full
from profile_lib.training.launch import check_division
from profile_lib.training.lock import only_training
from profile_lib.training.rank import START
from profile_lib.training.snapshot import load_snapshot

PAST = "past"  # the folder of what was learned before `ranker_from`
ALL_ROWS = 2**31 - 1  # of validation and test: requests are drawn whole, beforehand


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Fit a recommender and its report into `paths.models`, whole or not at all.

    Raises InputError where a day is given, the model reads no text, or a split has no cutoff after
    which an item was met.
    """
    if day is not None:
        raise InputError("--date: fit_recommender takes all there is")
    given, model = settings.recommend, served_model(settings, "fit_recommender")
    ranker = ranker_settings(settings)
    size = ranker.training
    check_division(size.batch_size, size.numeric_batch_size, size.shards, size.ranks)
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"train_{given.name}"
    tracker = Tracker.of(settings.tracking.model_dump())
    with only_training(given.name, models, work), told_when_full(work):
        forget_training(store.spark, ranker, folder)
        folder.mkdir(parents=True)
        shop = KnownShop(store, settings, model)
        print(f"  {len(shop.item_ids):,} items, {len(shop.texts.known):,} searches and listings")
        pasts = write_pasts(store, settings, model, shop, folder)
        past = shop.learn(midnight(given.ranker_from), pasts.where(F.col("split") == BEFORE))
        past.save(folder / PAST)
        found = candidates_found(pasts, given, folder)
        shown = write_shown(store, settings, model, shop, folder)
        prepare_ranker(pasts, ranker, shop, past, folder, shown)
        snapshot = load_snapshot(str(folder / "snapshot"))
        fitted = fit(store.spark, ranker, folder, snapshot, print_progress)
        shop.learn(shop.now, pasts).save(folder / LEARNED)
        about = save_fitted(
            models, tracker, given.name, fitted, folder / START,
            told=settings.model_dump(include={"recommend"}), sections={"candidates": found},
            files={}, folders={LEARNED: folder / LEARNED},
        )  # fmt: skip
    print(f"{about.model_version}: on the candidates of the test cutoffs")
    print("\n".join(report_lines(fitted.report)))
    print("\n".join(found_lines(found)))


def ranker_settings(settings: Settings) -> Settings:
    """Those of the model that ranks: it reads numbers alone, and its tasks are what is worth."""
    given = settings.recommend
    tasks = [{"name": name, "label": name, "kind": "binary", "weight": 1.0} for name in given.worth]
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
    pasts: DataFrame,
    ranker: Settings,
    shop: KnownShop,
    past: Learned,
    folder: Path,
    shown: DataFrame | None,
) -> None:
    """Write to `folder` what ranks read, and the model to start from.

    Rows are of the candidates of `past` at the cutoffs of `pasts`, which tell what suits nobody,
    and of what was `shown`, where that is known, which tells what suits better.
    """
    given, at = ranker.recommend, folder / PAST
    asked = pasts.where(F.col("split") != BEFORE)
    version, a_source = version_of(at), given.lists.a_source
    rows = ranker_rows(
        asked, str(at), version, a_source=a_source, negatives=given.negatives, seed=given.seed
    )
    if shown is not None:
        rows = rows.unionByName(shown_rows(shown, str(at), version, a_source=a_source))
    rows = written(rows, folder / "rows")
    read = Rows(past.numbers, past.n_plain, key=(*REQUEST, "item"), request=REQUEST)
    snapshot = prepare_snapshot(rows, ranker, folder, read)
    encoder = encoder_folder(ranker.model.encoder)
    prepare_start(pasts.sparkSession, snapshot, ranker, folder, encoder, shop.versions, read)


def candidates_found(pasts: DataFrame, given: RecommendSettings, folder: Path) -> dict[str, Any]:
    """source → the share of the items met after the test cutoffs that it names, and how many items
    it names a cutoff."""
    at = folder / PAST
    test = pasts.where("split = 'test'")
    parts = found_by_source(test, str(at), version_of(at), a_source=given.lists.a_source)
    sums = parts.groupBy("source").agg(*[F.sum(n).alias(n) for n in ("found", "wanted", "named")])
    n = test.count()
    return {
        row["source"]: {"recall": row["found"] / row["wanted"], "named": row["named"] / n}
        for row in sums.collect()
    }


def found_lines(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The same as lines of a table, the best source first."""
    ordered = sorted(found.items(), key=lambda pair: -pair[1]["recall"])
    lines = [f"  {name:<22}{of['recall']:>10.1%}{of['named']:>12,.0f}" for name, of in ordered]
    return [f"  {'items met later':<22}{'found':>10}{'candidates':>12}", *lines]


if __name__ == "__main__":
    main("fit_recommender", run, __doc__)
