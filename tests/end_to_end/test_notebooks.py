"""The notebooks run from raw events to profiles, and from profiles to lists."""

import pytest

from tests.end_to_end.consistency import assert_tables_agree
from tests.recommending import (
    assert_every_user_has_a_valid_list,
    assert_ineligible_items_are_unlisted,
    assert_only_changed_users_are_refreshed,
    assert_server_agrees_with_table,
)

pytestmark = pytest.mark.slow


def test_the_first_notebook_gives_every_user_a_profile(notebook_shop):
    assert_tables_agree(notebook_shop[0])


def test_the_second_notebook_lists_items_and_lists_follow_the_profiles(listing_shop):
    store, settings, printed = listing_shop
    assert "left out" not in printed  # the ranker learned from impressions
    assert "cluster 1: " in printed
    assert_every_user_has_a_valid_list(store, settings)
    assert_server_agrees_with_table(store, settings)
    assert_only_changed_users_are_refreshed(store, settings)
    assert_ineligible_items_are_unlisted(store, settings)
