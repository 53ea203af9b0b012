"""Recommendations are refused without items, a recommender, or profiles of its own model."""

import pytest

from profile_lib.config.settings import with_values
from profile_lib.errors import InputError
from profile_lib.pipelines import fit_recommender, recommend_items
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES
from tests.worlds import profile_row

pytestmark = pytest.mark.slow


def test_a_recommender_is_not_fitted_to_an_empty_catalog(notebook_shop, store):
    for table in (EVENTS, ITEMS):
        store.replace(table, store.spark.createDataFrame([], table.schema))
    with pytest.raises(InputError, match="items: no items, so there is nothing to recommend"):
        fit_recommender.run(store, notebook_shop[1])


def test_items_are_not_listed_by_a_recommender_that_was_not_fitted(notebook_shop, store):
    settings = with_values(notebook_shop[1], {"recommend.name": "unfitted"})
    with pytest.raises(InputError, match="unfitted: no model.json; .*fit_recommender for"):
        recommend_items.run(store, settings)


def test_items_are_not_listed_for_profiles_of_another_model(listing_shop, store):
    profile = profile_row("ann", model_version="m")
    store.replace(USER_PROFILES, store.spark.createDataFrame([profile], USER_PROFILES.schema))
    with pytest.raises(InputError, match="user_profiles are by m,"):
        recommend_items.run(store, listing_shop[1])
