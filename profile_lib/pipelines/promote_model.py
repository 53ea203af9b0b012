"""Compare the challenger with the champion, and promote it if it is better."""

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.tokens import add_tokens
from profile_lib.inference.udf import InferenceCounters, add_predictions
from profile_lib.model.manifest import read_manifest
from profile_lib.model.task_kinds import get_task_kind
from profile_lib.model.tasks import TaskSpec
from profile_lib.spark.hash_sampling import hash_uniform
from profile_lib.tables import EXAMPLES
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.data.task_labels import LabelledTask
from profile_lib.training.evaluation.intervals import bootstrap_intervals, name_lead
from profile_lib.training.mlflow_store import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS_CHAMPION,
    MlflowStore,
)
from profile_lib.training.tracking import Tracker

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, rollback: bool = False) -> None:
    """Make the challenger the champion if the interval of its lead is above 0.

    Both predict the same test examples, about training.evaluation_rows of them at most. The first
    model becomes the champion without a comparison. `rollback` restores the previous champion.
    Raises InputError if there is no MLflow store, no challenger or no previous champion, if a model
    cannot read the examples, or if `promote.task` is no binary task with both labels among them.
    """
    tracker, name = Tracker.from_settings(settings.tracking.model_dump()), settings.training.name
    registry = tracker.require_mlflow()
    if rollback:
        _roll_back(registry, name)
        return
    champion, challenger = (registry.find_version(name, alias) for alias in (CHAMPION, CHALLENGER))
    if challenger is None:
        raise InputError(f"{registry.uri}: {name} has no challenger; run train_model first")
    if champion is None:
        registry.set_alias(name, CHAMPION, challenger)
        log.info(f"{name}: version {challenger} is the first champion")
        return
    if champion == challenger:
        log.info(f"{name}: version {champion} is the champion already")
        return
    low, high = _lead_interval(
        store, settings, registry, {CHAMPION: champion, CHALLENGER: challenger}
    )
    lead = f"leads version {champion} by {low:+.4f} to {high:+.4f} in {settings.promote.metric}"
    if low <= 0:
        log.info(f"{name}: version {challenger} {lead}: not beyond chance, it stays the challenger")
        return
    registry.set_alias(name, PREVIOUS_CHAMPION, champion)
    registry.set_alias(name, CHAMPION, challenger)
    log.info(f"{name}: version {challenger} {lead}: it is the champion now")


def _roll_back(registry: MlflowStore, name: str) -> None:
    previous = registry.find_version(name, PREVIOUS_CHAMPION)
    if previous is None:
        raise InputError(
            f"{registry.uri}: {name} has had no champion before this one, so there is none to "
            "restore"
        )
    registry.set_alias(name, CHAMPION, previous)
    registry.set_alias(name, PREVIOUS_CHAMPION, None)
    log.info(f"{name}: version {previous} is the champion again")


def _lead_interval(
    store: Store, settings: Settings, registry: MlflowStore, versions: Mapping[str, str]
) -> tuple[float, float]:
    """Return the 95 % interval of the challenger's lead, by bootstrap over users.

    `versions` holds the versions of both models by alias.
    """
    training, task = settings.training, _compared_task(settings)
    examples = store.read(EXAMPLES).where("split = 'test'").where(task.masked_label.isNotNull())
    n = examples.count()
    share = min(1.0, training.evaluation_rows / max(n, 1))
    sample = examples.where(hash_uniform("user_id", "cutoff_ts") < share)
    with TemporaryDirectory(dir=settings.paths.work) as scratch:
        methods = {}
        for alias, version in versions.items():
            folder = Path(scratch) / alias
            folder.mkdir()
            model = registry.download_model(training.name, version, str(folder))
            methods[alias] = _predict_labels(sample, model, task, settings)
    (users, labels, champion), (_, _, challenger) = methods[CHAMPION], methods[CHALLENGER]
    compared = {"model": challenger, CHAMPION: champion}
    intervals = bootstrap_intervals(
        get_task_kind("binary"),
        labels,
        compared,
        users,
        training.seed,
        training.bootstrap_resamples,
    )
    lead = intervals.get(name_lead(CHAMPION), {}).get(settings.promote.metric)
    if lead is None:
        raise InputError(
            f"examples: {n:,} test rows with a known {task.name}; wanted both labels among them, "
            f"to compare {settings.promote.metric}: give more days"
        )
    return lead[0], lead[1]


def _compared_task(settings: Settings) -> LabelledTask:
    for task in settings.model.tasks:
        if task.name == settings.promote.task:
            return LabelledTask(**task.model_dump())
    raise InputError(
        f"promote.task: {settings.promote.task}; model.tasks has only "
        f"{', '.join(task.name for task in settings.model.tasks)}: name one of them"
    )


def _predict_labels(
    sample: DataFrame, folder: str, task: LabelledTask, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hashes of users, labels and the model's probabilities, (n,) each.

    Rows are in the order of user and cutoff, and so the same for all models.
    """
    manifest = read_manifest(folder)
    if manifest.spec.numeric != NUMERIC_FEATURES.names():
        raise InputError(
            f"{folder}: reads {len(manifest.spec.numeric)} numbers, the examples hold "
            f"{len(NUMERIC_FEATURES)}; a model of another version of the tables cannot be "
            "compared: train it again"
        )
    index = _prediction_index(manifest.spec.tasks, task.name, folder)
    predicted = add_predictions(
        add_tokens(sample.drop("token_ids", "n_tokens"), folder, manifest.spec.max_tokens),
        folder,
        categories=manifest.spec.categories,
        model_version=manifest.model_version,
        runtime=settings.refresh.runtime,
        batch_tokens=settings.refresh.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=0,
        counters=InferenceCounters.create(sample.sparkSession.sparkContext),
    )
    probability = F.get("prediction.outputs", F.lit(index)).cast("double")
    columns = [F.xxhash64("user_id").alias("user"), task.masked_label.cast("int").alias("label")]
    rows = predicted.select("user_id", "cutoff_ts", *columns, probability.alias("p"))
    frame = rows.orderBy("user_id", "cutoff_ts").select("user", "label", "p").toPandas()
    return frame["user"].to_numpy(), frame["label"].to_numpy(int), frame["p"].to_numpy()


def _prediction_index(tasks: tuple[TaskSpec, ...], name: str, folder: str) -> int:
    """Return the position of the task's probability among all predictions of a row."""
    start = 0
    for task in tasks:
        if task.name == name and task.kind == "binary":
            return start
        start += task.n_outputs
    raise InputError(
        f"promote.task: {name}, but {folder} has no binary task of that name, only "
        f"{', '.join(f'{t.name} ({t.kind})' for t in tasks)}"
    )
