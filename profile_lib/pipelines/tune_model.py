"""examples → the best settings of a search, judged over windows of time before the test split."""

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import optuna
import yaml
from optuna.trial import Trial, TrialState

from profile_lib.config.settings import Settings, put_value, with_values
from profile_lib.config.tuning import SearchRange
from profile_lib.delta.store import Store
from profile_lib.errors import DivergedError, InputError
from profile_lib.examples.split import rolling_windows
from profile_lib.files import explain_full_disk, write_text_atomically
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.task_kinds import get_task_kind
from profile_lib.pipelines.model_training import fit
from profile_lib.pipelines.training_checkpoints import remove_checkpoints
from profile_lib.pipelines.training_inputs import prepare_initial_model, prepare_snapshot
from profile_lib.pipelines.training_rows import read_examples_until
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.training_lock import lock_training_name

SEARCH_IDENTITY_FIELDS = {
    "windows",
    "task",
    "metric",
    "space",
}  # by which its trials can be compared


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Search until there are tune.trials in all; those of earlier runs count, so that a search
    that was broken off goes on where it stopped.

    Each trial is trained on every window in turn and given up where it is worse than the median of
    those before it, or its loss is no number any more. What came out best is written as a settings
    file. The test split is never looked at. Raises InputError where a setting of the space is
    none, the search was begun with another measure or space, or no trial ended well.
    """
    given = settings.tune
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"tune_{given.name}"
    for name, drawn in given.space.items():  # before anything is computed
        with_values(settings, {name: drawn.choices[0] if drawn.choices else drawn.low})
    with lock_training_name(given.name, models, work), explain_full_disk(work):
        study = open_study(settings)
        left = given.trials - len(study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED]))
        if left > 0:
            snapshots = write_windows(store, settings, folder, day)
            study.optimize(
                lambda trial: _evaluate_trial(trial, store, settings, snapshots), n_trials=left
            )
        if not study.get_trials(states=[TrialState.COMPLETE]):
            raise InputError(f"{given.storage}: no trial of {given.name} was carried to its end")
        best = Path(models) / f"{given.name}.yaml"
        write_text_atomically(best, yaml.safe_dump(nest_keys(study.best_params)))
    told = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in study.best_params.items())  # fmt: skip
    print(f"{given.name}: {given.metric} {study.best_value:.4f} of {given.task} with {told}")
    print(f"{best}: the settings, to be merged into a settings file")


def open_study(settings: Settings) -> optuna.Study:
    """The study by its name, anew or as it was left; a trial that a crash broke off is queued."""
    given = settings.tune
    if given.storage.startswith("sqlite:///"):
        Path(given.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=given.storage,
        study_name=given.name,
        direction=_search_direction(settings),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
        load_if_exists=True,
    )
    asked = given.model_dump(mode="json", include=SEARCH_IDENTITY_FIELDS)
    before = study.user_attrs.setdefault("search", asked)
    if changed := [
        f"tune.{k} was {before[k]}, is {asked[k]}" for k in asked if before[k] != asked[k]
    ]:
        raise InputError(
            f"{given.storage}: the search {given.name} was begun with other settings: "
            f"{'; '.join(changed)}. Give this one another tune.name, or go on as it was begun"
        )
    study.set_user_attr("search", asked)
    # Another seed for each run of a search: the same one would draw the same trials again.
    study.sampler = optuna.samplers.TPESampler(seed=settings.training.seed + len(study.trials))
    for broken in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(broken.number, state=TrialState.FAIL)
        study.enqueue_trial(broken.params)
    return study


def _search_direction(settings: Settings) -> Literal["minimize", "maximize"]:
    """Return whether the metric of tune.task is to be minimized or maximized."""
    kinds = {task.name: task.kind for task in settings.model.tasks}
    if settings.tune.task not in kinds:
        raise InputError(
            f"tune.task: {settings.tune.task}; model.tasks has only {', '.join(kinds)}"
        )
    kind = get_task_kind(kinds[settings.tune.task])
    return "minimize" if settings.tune.metric in kind.lower_is_better else "maximize"


def write_windows(
    store: Store, settings: Settings, folder: Path, day: date | None
) -> list[Snapshot]:
    """A snapshot of each window, which all trials read."""
    shutil.rmtree(folder, ignore_errors=True)
    horizon = timedelta(hours=settings.examples.horizon_hours)
    windows = rolling_windows(read_examples_until(store, day), settings.tune.windows, horizon)
    return [
        prepare_snapshot(window, settings, folder / f"window_{number}")
        for number, window in enumerate(windows)
    ]


def nest_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Keys joined by dots as sections.

    >>> nest_keys({"a.b": 1, "a.c": 2})
    {'a': {'b': 1, 'c': 2}}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        put_value(found, key, value, key)
    return found


def _evaluate_trial(
    trial: Trial, store: Store, settings: Settings, snapshots: Sequence[Snapshot]
) -> float:
    """The mean of the measure over the windows, told after each of them."""
    given = settings.tune
    drawn = {name: _suggest_value(trial, name, of) for name, of in given.space.items()}
    tried = with_values(settings, {**drawn, "training.name": f"{given.name}_{trial.number}"})
    encoder, found = encoder_folder(tried.model.encoder), []
    for number, snapshot in enumerate(snapshots):
        folder = Path(snapshot.folder).parent
        shutil.rmtree(folder / INITIAL_MODEL, ignore_errors=True)
        remove_checkpoints(store.spark, tried, folder)
        prepare_initial_model(store.spark, snapshot, tried, folder, encoder, {})
        try:
            fitted = fit(
                store.spark, tried, folder, snapshot, _ignore_progress, skip_baselines=True
            )
        except DivergedError as error:
            print(f"trial {trial.number} is given up: {error}", flush=True)
            raise optuna.TrialPruned from error
        measures = fitted.report.get(given.task, {}).get("model", {})
        if measures.get(given.metric) is None:
            raise InputError(
                f"tune.metric: {given.metric} of {given.task} is not among what was measured: "
                f"{', '.join(measures) or 'nothing'}; name another measure or task"
            )
        found.append(measures[given.metric])
        mean = sum(found) / len(found)
        print(f"trial {trial.number}, window {number + 1}: {given.metric} {mean:.4f}", flush=True)
        trial.report(mean, number)
        if trial.should_prune():
            raise optuna.TrialPruned
    return mean


def _suggest_value(trial: Trial, name: str, of: SearchRange) -> Any:
    if of.choices is not None:
        return trial.suggest_categorical(name, of.choices)
    if isinstance(of.low, int) and isinstance(of.high, int):
        return trial.suggest_int(name, of.low, of.high, log=of.log)
    return trial.suggest_float(name, float(of.low or 0), float(of.high or 0), log=of.log)


def _ignore_progress(entry: dict[str, Any]) -> None:
    """A trial's steps are not told, only what came of them."""
