"""Trainings are recorded in a real MLflow store, and the better of two models serves."""

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.manifest import read_manifest
from profile_lib.pipelines import promote_model, train_model
from profile_lib.pipelines.serving_model import find_served_version, load_served_model
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training import tracking
from profile_lib.training.mlflow_store import CHALLENGER, CHAMPION, MlflowStore
from profile_lib.training.tracking import Tracker
from profile_lib.training.training_record import TrainingRecord
from tests.worlds import dev_settings, example_rows, examples_store

pytestmark = pytest.mark.slow

NUMERIC_FEATURE_NAMES = [column.name for column in NUMERIC_FEATURES]


@pytest.fixture(scope="module")
def store(spark, tmp_path_factory) -> Store:
    """Examples whose users with a full cart buy; ten other numbers say nothing."""
    rng = np.random.default_rng(3)
    n_in_cart = rng.poisson(1.0, 1200).astype(float)
    numeric = np.zeros((1200, len(NUMERIC_FEATURE_NAMES)))
    numeric[:, :10] = rng.poisson(1.0, (1200, 10))
    numeric[:, NUMERIC_FEATURE_NAMES.index("n_in_cart")] = n_in_cart
    buys = n_in_cart + rng.random(1200) > 2.5
    spend = np.where(buys, n_in_cart, 0.0)
    rows = example_rows(1200, numeric=list(numeric), buys=buys.astype(int), spend=spend)
    return examples_store(spark, tmp_path_factory.mktemp("tables"), rows)


@pytest.fixture(scope="module")
def make_settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "work").mkdir()

    def make(*changes: str) -> Settings:
        return dev_settings(
            folder,
            "model.text=false",
            "training.name=shop", "training.n_processes=1", "training.numeric_epochs=1",
            "training.numeric_batch_size=64", f"tracking.uri=sqlite:///{folder}/ml/flow.db",
            f"tracking.artifacts={folder}/ml", f"tracking.tensorboard={folder}/tensorboard",
            "model.tasks=[{name: buys, label: buys, kind: binary, weight: 1.0}]", *changes,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def tracked(store, make_settings) -> tuple[Settings, MlflowStore]:
    """A model that has learned next to nothing, as the first champion."""
    settings = make_settings("training.head_lr=1e-6", "training.joins_baselines=false")
    registry = Tracker.from_settings(settings.tracking.model_dump()).require_mlflow()
    assert registry.find_version("shop", CHAMPION) is None
    train_model.run(store, settings)
    promote_model.run(store, settings)
    return settings, registry


@pytest.fixture(scope="module")
def first(tracked, tmp_path_factory) -> Path:
    """A copy of the folder of the first champion."""
    folder = tmp_path_factory.mktemp("first") / "shop"
    return Path(shutil.copytree(f"{tracked[0].paths.models}/shop", folder))


def record(tracker: Tracker, model: Path) -> None:
    """Record a model as its training does."""
    report, training = (
        json.loads((model / f"{name}.json").read_text()) for name in ("report", "training")
    )
    epochs, curve = training["epochs"], training["curve"]
    tracker.record(TrainingRecord.build("shop", {}, epochs, curve, report), str(model))


def test_the_first_model_becomes_the_champion_and_promoting_it_again_changes_nothing(
    store, tracked, caplog
):
    settings, registry = tracked
    assert (
        registry.find_version("shop", CHAMPION) == registry.find_version("shop", CHALLENGER) == "1"
    )
    promote_model.run(store, settings)
    assert "version 1 is the champion already" in caplog.text


def test_a_run_holds_parameters_losses_by_step_measures_and_the_report(tracked):
    settings, registry = tracked
    client = registry.client()
    (run,) = client.search_runs([client.get_experiment_by_name("profiles").experiment_id])
    report = json.loads((Path(settings.paths.models) / "shop" / "report.json").read_text())
    assert run.data.params["training.head_lr"] == "1e-06"
    measured = report["tasks"]["buys"]["model"]
    assert run.data.metrics["test.buys.pr_auc"] == pytest.approx(measured["pr_auc"])
    training = json.loads((Path(settings.paths.models) / "shop" / "training.json").read_text())
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [m.value for m in sorted(losses, key=lambda m: m.step)] == training["curve"]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"report.json", "report.html", "training.json"} <= files
    assert any(Path(settings.tracking.tensorboard).glob("shop-*/events.out.tfevents.*"))


def test_the_registered_model_predicts_as_the_trained_one_and_holds_no_pickle(tracked, tmp_path):
    settings, registry = tracked
    registry.client()
    served = mlflow.pyfunc.load_model("models:/shop/1")
    folder = registry.download_model("shop", "1", str(tmp_path))
    model, spec, _ = load_model(folder)
    numeric = np.random.default_rng(0).poisson(1.0, (3, len(NUMERIC_FEATURE_NAMES))).astype(float)
    device = np.full((3, len(spec.categories)), np.nan)
    device_column = [category.name for category in spec.categories].index("device")
    # The second of the known devices; the other categories are unknown.
    device[:, device_column] = 1.0
    numeric = np.hstack([numeric, device])
    frame = pd.DataFrame(
        {"token_ids": [np.zeros(1, np.int64)] * 3, "n_tokens": [1] * 3, "numeric": list(numeric)}
    )
    assert [column.name for column in served.metadata.signature.outputs] == ["buys"]
    assert not list(tmp_path.rglob("*.pkl"))
    served_probabilities = served.predict(frame)["buys"].to_numpy()
    logits = model.predict_without_text(torch.tensor(numeric).float())["buys"]
    np.testing.assert_allclose(served_probabilities, logits.sigmoid().detach().numpy(), atol=1e-6)


def test_a_better_challenger_is_promoted_a_worse_one_is_not_and_a_promotion_is_rolled_back(
    store, make_settings, tracked, first, caplog
):
    settings, registry = tracked
    better = make_settings("training.head_lr=1e-2", "training.numeric_epochs=3")
    train_model.run(store, better)
    promote_model.run(store, better)
    assert registry.find_version("shop", CHAMPION) == "2"
    assert "version 2 leads version 1 by +0." in caplog.text
    served = make_settings("refresh.alias=champion")
    model = load_served_model(served)
    assert model.version == find_served_version(served) == "2"
    assert (
        model.manifest.model_version == read_manifest(f"{served.paths.models}/shop").model_version
    )

    tracker = Tracker.from_settings(settings.tracking.model_dump())
    record(tracker, first)  # the model that has learned next to nothing
    promote_model.run(store, better)
    assert registry.find_version("shop", CHALLENGER) == "3"
    assert registry.find_version("shop", CHAMPION) == "2"
    assert "not beyond chance, it stays the challenger" in caplog.text

    promote_model.run(store, better, rollback=True)
    assert registry.find_version("shop", CHAMPION) == find_served_version(served) == "1"
    with pytest.raises(InputError, match="shop has had no champion before this one"):
        promote_model.run(store, better, rollback=True)


def test_models_that_cannot_be_compared_are_refused(store, make_settings):
    with pytest.raises(InputError, match="tracking.uri: null; wanted MLflow's store"):
        promote_model.run(store, make_settings("tracking.uri=null"))
    with pytest.raises(InputError, match="never has no challenger; run train_model first"):
        promote_model.run(store, make_settings("training.name=never"))
    with pytest.raises(InputError, match="no version of never is its champion"):
        load_served_model(make_settings("training.name=never", "refresh.alias=champion"))


def test_a_task_is_compared_by_its_own_label_on_the_rows_of_its_mask(store, make_settings, caplog):
    task = {"name": "big", "label": "int(spend > 2)", "mask": "device = 'mobile'",
            "kind": "binary", "weight": 1.0}  # fmt: skip
    worse, better = (
        make_settings("training.name=big", f"model.tasks=[{task}]", "promote.task=big",
                      f"training.head_lr={rate}", "training.numeric_epochs=4")
        for rate in ("1e-6", "1e-2")
    )  # fmt: skip
    train_model.run(store, worse)
    promote_model.run(store, worse)
    train_model.run(store, better)
    unknown = with_values(better, {"promote.task": "small"})
    with pytest.raises(InputError, match="promote.task: small; model.tasks has only big"):
        promote_model.run(store, unknown)
    promote_model.run(store, better)
    assert "version 2 leads version 1 by +0." in caplog.text


def test_weights_and_biases_are_written_offline_if_the_settings_name_a_project(
    store, make_settings, first, tmp_path, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = make_settings("tracking.uri=null", "tracking.wandb_project=shop")
    record(Tracker.from_settings(settings.tracking.model_dump()), first)
    assert list(tmp_path.rglob("run-*.wandb"))
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="wandb_project: needs the package wandb; pip install"):
        train_model.run(store, settings)
