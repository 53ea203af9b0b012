"""Load the model that serves, and compute profiles with it."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.errors import InputError
from profile_lib.features.as_of import add_latest_cutoff
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.catalog_words import ProjectedCatalog
from profile_lib.features.model_inputs import add_pending_input
from profile_lib.features.tokens import build_tokenize_udf
from profile_lib.inference.runtime_choice import check_runtime
from profile_lib.inference.udf import InferenceCounters, add_predictions
from profile_lib.model.manifest import Manifest, check_model, read_manifest
from profile_lib.model.tasks import TaskSpec
from profile_lib.pipelines.code_version import find_profile_version
from profile_lib.profiles.build import PredictedTask, decode_predictions, select_profile_facts
from profile_lib.profiles.refresh_state import hash_definition
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.mlflow_store import MlflowStore
from profile_lib.training.tracking import Tracker


class ServedModel(NamedTuple):
    """The folder, version and manifest of the model that serves, and its tokenizer."""

    folder: str
    version: str  # as `find_served_version` returns it
    manifest: Manifest
    tokenize: Callable[[str], Column]  # returns a column of TOKENS for the name of a text column

    def definition(self, settings: Settings) -> str:
        """Return the definition of its profiles, a hash of code, model and settings."""
        rules: dict[str, Any] = {
            "behaviour": settings.behaviour_rules(),
            "histories": settings.histories.model_dump(),
            "refresh": settings.refresh.model_dump(exclude={"batch_tokens", "buckets_per_chunk"}),
            "max_text_events": settings.examples.max_text_events,
        }
        return hash_definition(find_profile_version(), self.manifest.model_version, rules)


def load_served_model(settings: Settings, job: str = "refresh_profiles") -> ServedModel:
    """Load the model from its folder, or from MLflow's registry if `refresh.alias` is set.

    A model from the registry is copied to the shared work folder, one copy per `job`, so that no
    job replaces the copy that another one uses. Raises InputError if there is no model, if one of
    its files is missing or was changed, if it reads other numbers than behaviour holds, or if
    `refresh.runtime` cannot run it.
    """
    version = find_served_version(settings)
    folder = _model_folder(settings, job, version)
    manifest = check_model(folder)
    check_numeric_features(folder, manifest.spec.numeric)
    check_runtime(settings.refresh.runtime, folder)
    return ServedModel(
        folder, version, manifest, build_tokenize_udf(folder, manifest.spec.max_tokens)
    )


def check_numeric_features(folder: str, names: Sequence[str]) -> None:
    """Raise InputError unless a model reads the numbers that behaviour holds, in their order."""
    declared = NUMERIC_FEATURES.names()
    if tuple(names) != declared:
        raise InputError(
            f"{folder}: the model reads {len(names)} numbers, behaviour holds {len(declared)} and "
            f"they differ: {', '.join(sorted(set(names) ^ set(declared))) or 'in order'}; features "
            "were added or removed since it was trained: build the examples and train it again"
        )


def find_served_version(settings: Settings) -> str:
    """Find the version of the model that serves: of its folder, or in MLflow's registry.

    Raises InputError if there is none.
    """
    alias, name = settings.refresh.alias, settings.training.name
    if alias is None:
        return read_manifest(f"{settings.paths.models}/{name}").model_version
    return _mlflow_store(settings).require_version(name, alias)


def _model_folder(settings: Settings, job: str, version: str) -> str:
    name = settings.training.name
    if settings.refresh.alias is None:
        return f"{settings.paths.models}/{name}"
    folder = Path(settings.paths.work) / f"{job}_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return _mlflow_store(settings).download_model(name, version, str(folder))


def _mlflow_store(settings: Settings) -> MlflowStore:
    store = Tracker.from_settings(settings.tracking.model_dump()).mlflow
    if store is None:
        alias = settings.refresh.alias
        raise InputError(
            f"refresh.alias: {alias}, but tracking.uri is null; set it to the URI of MLflow's store"
        )
    return store


def build_current_behaviour(
    histories: DataFrame, catalog: ProjectedCatalog, settings: Settings
) -> DataFrame:
    """Build the behaviour of each user as of just after the last event or arrival."""
    return build_behaviour(add_latest_cutoff(histories), catalog, **settings.behaviour_rules())


def build_facts(
    behaviour: DataFrame, users: DataFrame, settings: Settings, events_version: Column
) -> DataFrame:
    """Build the facts of profiles and the model's input from behaviour and declared attributes.

    `events_version` is the version of `events` that the behaviour is computed from.
    """
    return select_profile_facts(
        add_pending_input(behaviour, settings.examples.max_text_events),
        users,
        events_version=events_version,
        profile_version=find_profile_version(),
        user_buckets=settings.refresh.user_buckets,
    )


def predict_profiles(
    facts: DataFrame,
    settings: Settings,
    model: ServedModel,
    counters: InferenceCounters,
    max_seconds: float | None = None,
) -> DataFrame:
    """Add the model's predictions to the facts, which completes the profiles.

    With `max_seconds`, users that the model does not reach in that time stay pending.
    """
    config, manifest = settings.refresh, model.manifest
    inputs = facts.select("*", "pending_input.*", F.col("as_of_ts").alias("cutoff_ts"))
    predicted = add_predictions(
        inputs.withColumn("tokens", model.tokenize("text")).select("*", "tokens.*"),
        model.folder,
        categories=manifest.spec.categories,
        model_version=manifest.model_version,
        runtime=config.runtime,
        batch_tokens=config.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=config.n_reasons,
        counters=counters,
        max_seconds=max_seconds,
    )
    return decode_predictions(
        predicted,
        [predicted_task(task) for task in manifest.spec.tasks],
        model_version=manifest.model_version,
        n_reasons=config.n_reasons,
        n_next_categories=config.n_next_categories,
    )


def predicted_task(task: TaskSpec) -> PredictedTask:
    """Return the description of how a profile stores the predictions of a task."""
    kind = task.definition
    return PredictedTask(
        task.name, task.classes, kind.profile_column, partial(kind.to_profile_value, task)
    )
