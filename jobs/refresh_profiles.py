"""events, items, users and a model → user_profiles."""

import shutil
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame

from jobs.command import main
from jobs.fitting import tracker_of
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.inputs import model_inputs
from profile_lib.features.known import known_events
from profile_lib.features.tokens import add_tokens
from profile_lib.inference.runtimes import check_runtime
from profile_lib.inference.udf import Counts, add_predictions
from profile_lib.model.checkpoint import About, check_model
from profile_lib.profiles.build import Head, build_profiles
from profile_lib.profiles.refresh import refresh_cutoffs
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Compute the profiles of all users with events, or of those with events that came on `day`."""
    folder = model_folder(settings)
    about = check_model(folder)  # before anything is computed
    check_runtime(settings.refresh.runtime, folder)
    counts = Counts.on(store.spark.sparkContext)
    events = store.read(EVENTS)
    known = known_events(events, refresh_cutoffs(events, day))
    built = build_behaviour(known, store.read(ITEMS), **settings.behaviour_rules())
    with kept(built) as behaviour:  # for the model, and for the profile
        profiles = profiles_of(behaviour, store, settings, folder, about, counts)
        store.upsert(USER_PROFILES, profiles)
    print(f"refresh_profiles: {counts}")


def model_folder(settings: Settings) -> str:
    """The model by its name, or the one that an alias names, copied to the shared work folder.

    Raises InputError where an alias is asked for and there is no store, or it names none.
    """
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
    store: Store,
    settings: Settings,
    folder: str,
    about: About,
    counts: Counts,
) -> DataFrame:
    """The profiles of users whose behaviour is known, as the model in `folder` sees them."""
    given = settings.refresh
    inputs = model_inputs(behaviour, settings.examples.max_text_events)
    predictions = add_predictions(
        add_tokens(inputs, folder, about.spec.max_tokens),
        folder,
        categories=[(c.name, c.values) for c in about.spec.categories],
        model_version=about.model_version,
        runtime=given.runtime,
        batch_tokens=given.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=given.n_reasons,
        counts=counts,
    ).select("user_id", "prediction")
    return build_profiles(
        behaviour.join(predictions, "user_id"),
        store.read(USERS),
        [Head(task.name, task.kind, task.classes) for task in about.spec.tasks],
        model_version=about.model_version,
        n_reasons=given.n_reasons,
        n_next_categories=given.n_next_categories,
        user_buckets=given.user_buckets,
    )


if __name__ == "__main__":
    main("refresh_profiles", run, __doc__)
