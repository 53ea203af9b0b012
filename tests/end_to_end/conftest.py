"""One tiny shop that both notebooks have processed, for all tests of a folder."""

import runpy
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import matplotlib
import pytest

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from tests.recommending import log_impressions_of_views
from tests.worlds import tiny_shop

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FEW_CLICKS = 50  # with this many clicks the ranker learns from impressions


@pytest.fixture(scope="session")
def notebook_shop(spark, tmp_path_factory) -> Iterator[tuple[Store, Settings]]:
    """A tiny shop after the first notebook, its model trained by two processes."""
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        config = tiny_shop(tmp_path_factory.mktemp("shop"), recommend={"min_clicks": FEW_CLICKS})
        patch.setenv("PROFILE_CONFIG", config)
        names = runpy.run_path(str(NOTEBOOKS / "01_from_clicks_to_profiles.py"))
        yield names["store"], names["settings"]


@pytest.fixture(scope="session")
def listing_shop(notebook_shop) -> tuple[Store, Settings, str]:
    """The same shop after the second notebook, and what that printed."""
    store, settings = notebook_shop
    assert log_impressions_of_views(store, settings) > FEW_CLICKS
    with redirect_stdout(StringIO()) as printed:
        runpy.run_path(str(NOTEBOOKS / "02_from_profiles_to_lists.py"))
    return store, settings, printed.getvalue()
