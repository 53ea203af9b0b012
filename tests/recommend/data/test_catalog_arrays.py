"""Test the catalog's arrays."""

import numpy as np

from profile_lib.recommend.data.catalog import Catalog
from tests.recommend.small_recommender import small_catalog


def test_a_loaded_catalog_equals_the_saved_one(tmp_path):
    small_catalog().save(tmp_path)
    loaded = Catalog.load(tmp_path)
    assert loaded.items.equals(small_catalog().items)
    np.testing.assert_array_equal(loaded.vectors, small_catalog().vectors)


def test_equal_categories_have_equal_numbers_and_an_unknown_one_is_negative():
    assert small_catalog().category.tolist() == [0, 0, 1, 1, -1]
