"""A search for settings is stored, can be resumed, and never reads the test split."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import DivergedError, InputError
from profile_lib.examples.split import rolling_windows
from profile_lib.pipelines import tune_model
from profile_lib.pipelines.model_training import TrainedModel
from profile_lib.tables import EXAMPLES
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.data.snapshot import Snapshot
from tests.worlds import dev_settings, example_rows, examples_store

NUMERIC_FEATURE_NAMES = [column.name for column in NUMERIC_FEATURES]


@pytest.fixture(scope="module")
def store(spark, tmp_path_factory) -> Store:
    """Examples whose users with a full cart buy; all users of the test split buy."""
    rng = np.random.default_rng(3)
    numeric = rng.poisson(1.0, (1500, len(NUMERIC_FEATURE_NAMES))).astype(float)
    buys = (numeric[:, NUMERIC_FEATURE_NAMES.index("n_in_cart")] > 1).astype(int)
    buys[1200:] = 1
    rows = example_rows(1500, numeric=list(numeric), buys=buys)
    return examples_store(spark, tmp_path_factory.mktemp("tables"), rows)


@pytest.fixture(scope="module")
def make_settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")

    def make(*changes: str) -> Settings:
        return dev_settings(
            folder,
            "model.text=false",
            "training.n_processes=1", "training.numeric_epochs=2",
            "training.numeric_batch_size=128",
            "model.tasks=[{name: buys, label: buys, kind: binary, weight: 1.0}]",
            f"tune.storage=sqlite:///{folder}/tune.db", "tune.windows=2", "tune.trials=2",
            "examples.horizon_hours=0.1", "training.bootstrap_resamples=2", *changes,
        )  # fmt: skip

    return make


@pytest.fixture
def untrained(monkeypatch, tmp_path):
    """Replace trainings: the loss falls as the learning rate rises to 1, and diverges above."""

    def fit(spark, settings, folder, snapshot, report_progress, *, skip_baselines):
        rate = settings.training.head_lr
        if rate > 1:
            raise DivergedError("training: the loss is nan")
        return TrainedModel(None, None, {"buys": {"model": {"log_loss": 1 / rate, "roc_auc": 0.5}}})

    def windows(*_):
        return [load(tmp_path / f"window_{n}") for n in range(2)]

    def load(folder: Path) -> Snapshot:
        (folder / "snapshot").mkdir(parents=True, exist_ok=True)
        return Snapshot(
            folder=str(folder / "snapshot"), rows={}, positives=0, files={}, tasks=(),
            categories=(), max_tokens=8,
        )  # fmt: skip

    monkeypatch.setattr(tune_model, "write_windows", windows)
    monkeypatch.setattr(tune_model, "prepare_initial_model", lambda *_: None)
    monkeypatch.setattr(tune_model, "fit", fit)


SPACE = "tune.space={training.head_lr: {choices: [1.0e-6, 1.0e-2]}}"


def trials(settings: Settings) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=settings.tune.name, storage=settings.tune.storage).trials


@pytest.mark.slow
def test_a_search_finds_the_rate_that_learns_and_continues_where_it_stopped(
    store, make_settings, tmp_path, caplog
):
    checkpoints = ("training.checkpoint_steps=1", f"training.checkpoint_path={tmp_path.as_uri()}")
    first = make_settings(SPACE, "tune.trials=2", *checkpoints)
    tune_model.run(store, first)
    study = tune_model.open_study(first)
    crashed = study.ask(  # as a crash in the middle of a trial leaves it
        {"training.head_lr": optuna.distributions.CategoricalDistribution([1.0e-6, 1.0e-2])}
    )
    tune_model.run(store, make_settings(SPACE, "tune.trials=4", *checkpoints))
    all_trials = trials(first)
    states = [t.state.name for t in all_trials]
    assert states[crashed.number] == "FAIL"
    assert all_trials[crashed.number + 1].params == crashed.params
    assert sum(state in ("COMPLETE", "PRUNED") for state in states) == 4
    assert study.best_params == {"training.head_lr": 1.0e-2}
    best = yaml.safe_load(Path(first.paths.models, "search.yaml").read_text())
    assert best == {"training": {"head_lr": 1.0e-2}}
    assert with_values(first, {"training.head_lr": 1.0e-2}).training.head_lr == 1.0e-2
    assert "search: log_loss" in caplog.text
    checkpoint_folders = {str(p.parent.relative_to(tmp_path)) for p in tmp_path.rglob("step-*")}
    assert checkpoint_folders == {"tune_search/window_0", "tune_search/window_1"}
    n = len(all_trials)
    tune_model.run(store, make_settings(SPACE, "tune.trials=4"))
    assert len(trials(first)) == n


def test_a_trial_worse_than_the_median_is_pruned(store, make_settings, untrained):
    settings = make_settings(SPACE, "tune.name=median", "tune.trials=4")
    study = tune_model.open_study(settings)
    for rate in (1.0e-2, 1.0e-2, 1.0e-2, 1.0e-6):
        study.enqueue_trial({"training.head_lr": rate})
    tune_model.run(store, settings)
    pruned = [t for t in trials(settings) if t.state.name == "PRUNED"]
    assert pruned
    assert {t.params["training.head_lr"] for t in pruned} == {1.0e-6}
    assert all(len(t.intermediate_values) == 1 for t in pruned)  # after the first of two windows


def test_each_window_trains_on_more_rows_and_ends_before_the_next_one_is_evaluated(spark):
    rows = example_rows(1000)
    frame = spark.createDataFrame(rows, EXAMPLES.schema)
    windows = list(rolling_windows(frame, 3, timedelta(minutes=5)))
    spans = []
    for window in windows:
        by_split = {
            r["split"]: (r["first"], r["last"], r["n"])
            for r in window.groupBy("split")
            .agg(
                F.min("cutoff_ts").alias("first"),
                F.max("cutoff_ts").alias("last"),
                F.count("*").alias("n"),
            )
            .collect()
        }
        first_evaluated = min(by_split["validation"][0], by_split["test"][0])
        assert by_split["train"][1] + timedelta(minutes=5) <= first_evaluated
        spans.append((by_split["train"][2], first_evaluated, max(s[1] for s in by_split.values())))
    assert [n for n, _, _ in spans] == [195, 395, 595]
    assert all(one[2] < two[1] for one, two in zip(spans, spans[1:], strict=False))
    assert spans[-1][2] < frame.where("split = 'test'").agg(F.min("cutoff_ts")).head()[0]


def test_an_unknown_setting_and_an_unknown_metric_are_refused(store, make_settings, untrained):
    unknown = make_settings("tune.name=odd", "tune.space={training.speed: {low: 1, high: 2}}")
    with pytest.raises(InputError, match=r"training\.speed: training\.speed: no such key"):
        tune_model.run(store, unknown)
    with pytest.raises(InputError, match="tune.metric: accuracy of buys is not among .*roc_auc"):
        tune_model.run(store, make_settings(SPACE, "tune.name=odd", "tune.metric=accuracy"))
    with pytest.raises(InputError, match="wanted low and high, or choices"):
        make_settings("tune.space={training.head_lr: {low: 1}}")


def test_a_trial_whose_loss_is_not_a_number_is_pruned_and_the_search_continues(
    store, make_settings, untrained, caplog
):
    space = "tune.space={training.head_lr: {choices: [1.0e+30, 1.0e-2]}}"
    settings = make_settings(space, "tune.name=wild", "tune.trials=3")
    study = tune_model.open_study(settings)
    for rate in (1.0e-2, 1.0e30, 1.0e-2):
        study.enqueue_trial({"training.head_lr": rate})
    tune_model.run(store, settings)
    assert [t.state.name for t in trials(settings)] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert "trial 1 is pruned: training: the " in caplog.text


def test_a_continued_search_draws_other_values_and_refuses_another_metric(
    store, make_settings, untrained
):
    space = "tune.space={training.head_lr: {low: 1.0e-4, high: 1.0e-2}}"
    for trials_in_all in (2, 4):
        settings = make_settings(space, "tune.name=again", f"tune.trials={trials_in_all}")
        tune_model.run(store, settings)
    assert len({t.params["training.head_lr"] for t in trials(settings)}) == 4
    with pytest.raises(InputError, match="tune.metric was log_loss, is roc_auc. Give this one an"):
        tune_model.run(store, make_settings(space, "tune.name=again", "tune.metric=roc_auc"))
