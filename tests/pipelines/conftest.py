"""Shared fixtures: a small shop with profiles, and a trained model."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.pipelines import refresh_profiles, train_model
from tests.small_shop import event, new_shop, shop_settings, write_events
from tests.worlds import NOW, colour_encoder, colour_rows, dev_settings, examples_store

KNOWN = ["ann", "bob", *(f"u{n}" for n in range(10))]  # some in each of two buckets


@pytest.fixture(scope="session")
def refreshed_folder(spark, tmp_path_factory) -> Path:
    """A folder with the refreshed profiles of users who viewed the tee, one per minute."""
    folder = tmp_path_factory.mktemp("refreshed")
    store, settings = new_shop(spark, folder)
    viewed = [event(100 + n, user, n, "view", "tee", 0) for n, user in enumerate(KNOWN)]
    write_events(store, viewed)
    refresh_profiles.run(store, settings, now=NOW)
    return folder


@pytest.fixture
def refreshed(spark, refreshed_folder, tmp_path) -> tuple[Store, Settings]:
    """A copy of the refreshed shop that a test may change."""
    shutil.copytree(refreshed_folder, tmp_path, dirs_exist_ok=True)
    return Store(spark, str(tmp_path / "tables")), shop_settings(tmp_path)


TASKS = [
    {"name": "buys", "label": "buys", "kind": "binary", "weight": 1.0},
    {"name": "colour", "label": "next_category", "kind": "multiclass", "weight": 0.5},
    {"name": "colours", "label": "next_categories", "kind": "multilabel", "weight": 0.2},
    {"name": "spend", "label": "spend", "kind": "regression", "weight": 0.1, "mask": "buys = 1"},
]


@pytest.fixture(scope="session")
def colours(spark, tmp_path_factory) -> Store:
    """A store of examples whose texts are colours and whose labels follow known rules."""
    return examples_store(spark, tmp_path_factory.mktemp("colours"), colour_rows(1500))


@pytest.fixture(scope="session")
def colour_settings(tmp_path_factory) -> Callable[..., Settings]:
    """A function that makes settings to train on them: a task of each kind, one process."""
    folder = tmp_path_factory.mktemp("work")
    encoder = colour_encoder(folder / "encoder")

    def make(*changes: str) -> Settings:
        return dev_settings(
            folder,
            f"model.encoder={encoder}", f"model.tasks={TASKS}", "model.dropout=0.0",
            "training.name=trained_model", "training.n_processes=1", "training.epochs=2",
            "training.encoder_lr=0.003", "training.numeric_epochs=3",
            "training.numeric_batch_size=64", "training.shuffle_rows=256", *changes,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def trained_model(colours, colour_settings) -> Path:
    """The folder of a model that one process has trained."""
    more = ("quantization.enabled=true", "quantization.min_quality_ratio=0.9")
    more += ("training.baseline_rows=5000", "training.bootstrap_resamples=50")
    settings = colour_settings(*more)
    train_model.run(colours, settings)
    return Path(settings.paths.models) / "trained_model"
