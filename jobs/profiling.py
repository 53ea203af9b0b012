"""What the jobs that compute profiles share: the model that serves, and profiles by it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.features.inputs import add_inputs
from profile_lib.features.tokens import tokenizer
from profile_lib.inference.choice import check_runtime
from profile_lib.inference.udf import Counts, add_predictions
from profile_lib.model.about import About, check_model, read_about
from profile_lib.profiles.build import Head, add_guesses, profile_facts
from profile_lib.profiles.standing import definition_of
from profile_lib.tracking import Tracker


class Served(NamedTuple):
    """The model that serves: where it lies, and what it says of itself."""

    folder: str
    version: str  # as `serving_version` tells it
    about: About
    tokenize: Callable[[str], Column]  # a text column by its name → TOKENS

    def definition(self, settings: Settings) -> str:
        """A hash of all that says what a profile by it is."""
        rules: dict[str, Any] = {
            "behaviour": settings.behaviour_rules(),
            "refresh": settings.refresh.model_dump(exclude={"batch_tokens", "buckets_a_chunk"}),
            "max_text_events": settings.examples.max_text_events,
        }
        return definition_of(self.about.model_version, rules)


def served_model(settings: Settings, job: str = "refresh_profiles") -> Served:
    """The model by its name, or the one that an alias names, copied to the shared work folder.

    Each `job` has a copy of its own, so that none takes it away under another.

    Raises InputError where there is none, a file of it is missing or was changed, or it cannot run
    as the settings want.
    """
    version = serving_version(settings)
    folder = _model_folder(settings, job, version)
    about = check_model(folder)
    check_runtime(settings.refresh.runtime, folder)
    return Served(folder, version, about, tokenizer(folder, about.spec.max_tokens))


def serving_version(settings: Settings) -> str:
    """Which model is to serve now: by its folder, or in the registry where an alias names it.

    Raises InputError where there is none.
    """
    alias, name = settings.refresh.alias, settings.training.name
    if alias is None:
        return read_about(f"{settings.paths.models}/{name}").model_version
    return _tracker(settings).served_version(name, alias)


def _model_folder(settings: Settings, job: str, version: str) -> str:
    name = settings.training.name
    if settings.refresh.alias is None:
        return f"{settings.paths.models}/{name}"
    folder = Path(settings.paths.work) / f"{job}_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return _tracker(settings).fetch(name, version, str(folder))


def _tracker(settings: Settings) -> Tracker:
    tracker = Tracker.of(settings.tracking.model_dump())
    if tracker.uri is None:
        alias = settings.refresh.alias
        raise InputError(f"refresh.alias: {alias}, but tracking.uri is null; name MLflow's store")
    return tracker


def facts_of(
    behaviour: DataFrame, users: DataFrame, settings: Settings, events_version: Column
) -> DataFrame:
    """What is known of users by their behaviour, and what the model is to read of them."""
    return profile_facts(
        add_inputs(behaviour, settings.examples.max_text_events),
        users,
        events_version=events_version,
        user_buckets=settings.refresh.user_buckets,
    )


def profiles_of(
    facts: DataFrame,
    settings: Settings,
    model: Served,
    counts: Counts,
    seconds: float | None = None,
) -> DataFrame:
    """The facts with what the model guesses.

    With `seconds`, those for whom that time is too short await the model's guesses.
    """
    given, about = settings.refresh, model.about
    read = facts.select("*", "awaits.*", F.col("as_of_ts").alias("cutoff_ts"))
    predicted = add_predictions(
        read.withColumn("tokens", model.tokenize("text")).select("*", "tokens.*"),
        model.folder,
        categories=[(c.name, c.values) for c in about.spec.categories],
        model_version=about.model_version,
        runtime=given.runtime,
        batch_tokens=given.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=given.n_reasons,
        counts=counts,
        seconds=seconds,
    )
    return add_guesses(
        predicted,
        [Head(task.name, task.kind, task.classes) for task in about.spec.tasks],
        model_version=about.model_version,
        n_reasons=given.n_reasons,
        n_next_categories=given.n_next_categories,
    )
