"""Search for the best training settings, measured on time windows before the test split."""

import logging
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

log = logging.getLogger(__name__)

# Trials can be compared only if these settings are the same.
SEARCH_IDENTITY_FIELDS = {"windows", "task", "metric", "space"}


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Run trials until there are `tune.trials`, and write the best settings to a file.

    Trials of earlier runs count, so that an interrupted search continues. Each trial is trained on
    one window after another, and pruned if it is worse than the median of earlier trials or its
    loss is no longer a number. The test split is never read. `day` leaves out examples with a
    cutoff after the end of that day. Raises InputError if the space names an unknown setting, the
    search was begun with another metric or space, or no trial completed.
    """
    tune = settings.tune
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"tune_{tune.name}"
    for name, values in tune.space.items():  # refuses unknown settings before anything runs
        with_values(settings, {name: values.choices[0] if values.choices else values.low})
    with lock_training_name(tune.name, models, work), explain_full_disk(work):
        study = open_study(settings)
        ended = study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])
        n_left = tune.trials - len(ended)
        if n_left > 0:
            snapshots = write_windows(store, settings, folder, day)
            study.optimize(
                lambda trial: _evaluate_trial(trial, store, settings, snapshots), n_trials=n_left
            )
        if not study.get_trials(states=[TrialState.COMPLETE]):
            raise InputError(
                f"{tune.storage}: no trial of {tune.name} was completed, all were pruned; narrow "
                "tune.space or raise tune.trials"
            )
        best = Path(models) / f"{tune.name}.yaml"
        write_text_atomically(best, yaml.safe_dump(nest_keys(study.best_params)))
    chosen = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in study.best_params.items()
    )
    log.info(f"{tune.name}: {tune.metric} {study.best_value:.4f} of {tune.task} with {chosen}")
    log.info(f"{best}: the settings, to be merged into a settings file")


def open_study(settings: Settings) -> optuna.Study:
    """Open or create the search as a study of Optuna.

    A trial that was interrupted is queued again. Raises InputError if the search was begun with
    other settings.
    """
    tune = settings.tune
    if tune.storage.startswith("sqlite:///"):
        Path(tune.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=tune.storage,
        study_name=tune.name,
        direction=_search_direction(settings),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
        load_if_exists=True,
    )
    identity = tune.model_dump(mode="json", include=SEARCH_IDENTITY_FIELDS)
    stored = study.user_attrs.setdefault("search", identity)
    if changed := [
        f"tune.{key} was {stored[key]}, is {value}"
        for key, value in identity.items()
        if stored[key] != value
    ]:
        raise InputError(
            f"{tune.storage}: the search {tune.name} was begun with other settings: "
            f"{'; '.join(changed)}. Give this one another tune.name, or continue it as it was begun"
        )
    study.set_user_attr("search", identity)
    # Each run of a search has another seed: with the same one it would repeat the same trials.
    study.sampler = optuna.samplers.TPESampler(seed=settings.training.seed + len(study.trials))
    for interrupted in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(interrupted.number, state=TrialState.FAIL)
        study.enqueue_trial(interrupted.params)
    return study


def _search_direction(settings: Settings) -> Literal["minimize", "maximize"]:
    """Return whether to minimize or maximize the metric. Raises InputError for an unknown task."""
    kinds = {task.name: task.kind for task in settings.model.tasks}
    if settings.tune.task not in kinds:
        raise InputError(
            f"tune.task: {settings.tune.task}; model.tasks has only {', '.join(kinds)}: name one "
            "of them"
        )
    kind = get_task_kind(kinds[settings.tune.task])
    return "minimize" if settings.tune.metric in kind.lower_is_better else "maximize"


def write_windows(
    store: Store, settings: Settings, folder: Path, day: date | None
) -> list[Snapshot]:
    """Write a snapshot of each window, which all trials read."""
    shutil.rmtree(folder, ignore_errors=True)
    horizon = timedelta(hours=settings.examples.horizon_hours)
    windows = rolling_windows(read_examples_until(store, day), settings.tune.windows, horizon)
    return [
        prepare_snapshot(window, settings, folder / f"window_{number}")
        for number, window in enumerate(windows)
    ]


def nest_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Nest keys that are joined by dots.

    >>> nest_keys({"a.b": 1, "a.c": 2})
    {'a': {'b': 1, 'c': 2}}
    """
    nested: dict[str, Any] = {}
    for key, value in values.items():
        put_value(nested, key, value, key)
    return nested


def _evaluate_trial(
    trial: Trial, store: Store, settings: Settings, snapshots: Sequence[Snapshot]
) -> float:
    """Train on one window after another; return the mean metric over the windows.

    Raises TrialPruned if the trial is worse than others or diverges, and InputError if the metric
    is not measured.
    """
    tune, metric = settings.tune, settings.tune.metric
    values = {name: _suggest_value(trial, name, choice) for name, choice in tune.space.items()}
    trial_settings = with_values(
        settings, {**values, "training.name": f"{tune.name}_{trial.number}"}
    )
    encoder, by_window = encoder_folder(trial_settings.model.encoder), []
    for number, snapshot in enumerate(snapshots):
        folder = Path(snapshot.folder).parent
        shutil.rmtree(folder / INITIAL_MODEL, ignore_errors=True)
        remove_checkpoints(store.spark, trial_settings, folder)
        prepare_initial_model(store.spark, snapshot, trial_settings, folder, encoder, {})
        try:
            fitted = fit(
                store.spark, trial_settings, folder, snapshot, _ignore_progress, skip_baselines=True
            )
        except DivergedError as error:
            log.info(f"trial {trial.number} is pruned: {error}")
            raise optuna.TrialPruned from error
        metrics = fitted.report.get(tune.task, {}).get("model", {})
        if metrics.get(metric) is None:
            raise InputError(
                f"tune.metric: {metric} of {tune.task} is not among what was measured: "
                f"{', '.join(metrics) or 'nothing'}; name another metric or task"
            )
        by_window.append(metrics[metric])
        mean = sum(by_window) / len(by_window)
        log.info(f"trial {trial.number}, window {number + 1}: {metric} {mean:.4f}")
        trial.report(mean, number)
        if trial.should_prune():
            raise optuna.TrialPruned
    return mean


def _suggest_value(trial: Trial, name: str, values: SearchRange) -> Any:
    if values.choices is not None:
        return trial.suggest_categorical(name, values.choices)
    low, high = values.low, values.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=values.log)
    return trial.suggest_float(name, float(low or 0), float(high or 0), log=values.log)


def _ignore_progress(entry: dict[str, Any]) -> None:
    """Ignore the progress of a trial, because its metric is logged instead."""
