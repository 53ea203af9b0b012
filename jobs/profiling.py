"""What the jobs that compute profiles share: the model that serves, and profiles by it."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import DataFrame

from jobs.fitting import tracker_of
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.features.inputs import model_inputs
from profile_lib.features.tokens import add_tokens
from profile_lib.inference.runtimes import check_runtime
from profile_lib.inference.udf import Counts, add_predictions
from profile_lib.model.checkpoint import About, check_model
from profile_lib.profiles.build import Head, build_profiles
from profile_lib.profiles.standing import definition_of


class Served(NamedTuple):
    """The model that serves: where it lies, and what it says of itself."""

    folder: str
    about: About

    def definition(self, settings: Settings) -> str:
        """A hash of all that says what a profile by it is."""
        rules: dict[str, Any] = {
            "behaviour": settings.behaviour_rules(),
            "refresh": settings.refresh.model_dump(exclude={"batch_tokens", "buckets_a_chunk"}),
            "max_text_events": settings.examples.max_text_events,
        }
        return definition_of(self.about.model_version, rules)


def served_model(settings: Settings) -> Served:
    """The model by its name, or the one that an alias names, copied to the shared work folder.

    Raises InputError where there is none, a file of it is missing or was changed, or it cannot run
    as the settings want.
    """
    folder = _model_folder(settings)
    about = check_model(folder)
    check_runtime(settings.refresh.runtime, folder)
    return Served(folder, about)


def _model_folder(settings: Settings) -> str:
    alias, name = settings.refresh.alias, settings.training.name
    if alias is None:
        return f"{settings.paths.models}/{name}"
    tracker = tracker_of(settings)
    if tracker.uri is None:
        raise InputError(f"refresh.alias: {alias}, but tracking.uri is null; name MLflow's store")
    folder = Path(settings.paths.work) / f"served_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return tracker.fetch(name, alias, str(folder))


def profiles_of(
    behaviour: DataFrame,
    users: DataFrame,
    settings: Settings,
    model: Served,
    events_version: int,
    counts: Counts,
) -> DataFrame:
    """The profiles of users whose behaviour is known, as the model sees them."""
    given, spec = settings.refresh, model.about.spec
    inputs = model_inputs(behaviour, settings.examples.max_text_events)
    predictions = add_predictions(
        add_tokens(inputs, model.folder, spec.max_tokens),
        model.folder,
        categories=[(c.name, c.values) for c in spec.categories],
        model_version=model.about.model_version,
        runtime=given.runtime,
        batch_tokens=given.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=given.n_reasons,
        counts=counts,
    ).select("user_id", "prediction")
    return build_profiles(
        behaviour.join(predictions, "user_id"),
        users,
        [Head(task.name, task.kind, task.classes) for task in spec.tasks],
        model_version=model.about.model_version,
        events_version=events_version,
        n_reasons=given.n_reasons,
        n_next_categories=given.n_next_categories,
        user_buckets=given.user_buckets,
    )
