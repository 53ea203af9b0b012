"""A small shop whose profiles are made, which many tests go on from."""

import shutil
from pathlib import Path

import pytest

from jobs import refresh_profiles
from profile_lib.config import Settings
from profile_lib.store import Store
from tests.small_shop import event, new_shop, shop_settings, write

KNOWN = ["ann", "bob", *(f"u{n}" for n in range(10))]  # some in each of two buckets


@pytest.fixture(scope="session")
def made(spark, tmp_path_factory) -> Path:
    """The folder of a shop in which each user viewed the tee, a minute after another, refreshed."""
    folder = tmp_path_factory.mktemp("refreshed")
    store, given = new_shop(spark, folder)
    viewed = [event(100 + n, user, n, "view", "tee", 0) for n, user in enumerate(KNOWN)]
    write(store, viewed)
    refresh_profiles.run(store, given, None)
    return folder


@pytest.fixture
def refreshed(spark, made, tmp_path) -> tuple[Store, Settings]:
    """A copy of that shop."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Store(spark, str(tmp_path / "tables")), shop_settings(tmp_path)
