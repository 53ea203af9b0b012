"""Check that a seed decides the simulated shop, and that its rows show its truth."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from profile_lib.simulation.rows import Shop, make_row_batches
from profile_lib.simulation.simulate import (
    build_item_truth,
    build_user_truth,
    simulate_events,
    simulate_users,
)
from profile_lib.simulation.visit_events import RETURN_VISIT_OFFSET, REVIEW_VISIT_OFFSET
from profile_lib.simulation.words import (
    AGE_BANDS,
    CATEGORIES,
    CHINESE_REVIEW_PHRASES,
    REVIEW_PHRASES,
)

SHOP = Shop(
    seed=3,
    n_users=4_000,
    n_items=240,
    n_days=60,
    sessions_per_user=8,
    chinese_share=0.4,
    drift_share=0.3,
    bots_share=0.002,
)


def make_rows(shop: Shop, *batches: range) -> pd.DataFrame:
    """Make the rows of users that are given in these batches."""
    numbers = [pa.record_batch([pa.array(list(b), pa.int64())], names=["id"]) for b in batches]
    return pa.Table.from_batches(list(make_row_batches(shop, numbers))).to_pandas()


@pytest.fixture(scope="module")
def shop_rows() -> pd.DataFrame:
    return make_rows(SHOP, range(SHOP.n_users))


@pytest.fixture(scope="module")
def human_rows(shop_rows) -> pd.DataFrame:
    return shop_rows[~shop_rows.is_bot]


def test_the_rows_of_a_user_do_not_depend_on_the_other_users_of_the_batch():
    together = make_rows(SHOP, range(60))
    apart = pd.concat([make_rows(SHOP, range(40, 60)), make_rows(SHOP, range(1), range(1, 40))])
    keys = ["user", "visit_number", "event_number"]
    pd.testing.assert_frame_equal(
        together.sort_values(keys, ignore_index=True), apart.sort_values(keys, ignore_index=True)
    )


def test_another_seed_makes_another_shop():
    other = replace(SHOP, seed=4)
    assert not make_rows(SHOP, range(20)).equals(make_rows(other, range(20)))


def test_views_of_the_items_of_a_category_follow_zipfs_law(human_rows):
    views = human_rows[human_rows.action == "view"].groupby(["category", "item"]).size()
    slopes = []
    for category in CATEGORIES:
        counts = views[category].sort_index().to_numpy()  # items are numbered by popularity
        rank = np.arange(1, len(counts) + 1)
        slopes.append(np.polyfit(np.log(rank), np.log(counts), 1)[0])
    assert np.mean(slopes) == pytest.approx(-1, abs=0.2)


def test_views_follow_interests_which_a_share_of_the_users_changes_half_way(human_rows):
    people = SHOP.people(np.arange(SHOP.n_users))
    drifters = people.top_categories[:, 0] != people.top_categories[:, 1]
    assert (drifters == people.drifts).all()
    assert drifters.mean() == pytest.approx(0.3, abs=0.03)
    first_visits = human_rows.visit_number < RETURN_VISIT_OFFSET
    with_category = human_rows[human_rows.category.notna() & first_visits]
    is_second_half = with_category.milliseconds >= 30 * 86_400_000
    for half in (0, 1):
        rows = with_category[is_second_half == bool(half)]
        counts = rows.groupby(["user", "category"]).size().unstack(fill_value=0)
        counts = counts[counts.sum(axis=1) >= 20]
        top = counts.columns[counts.to_numpy().argmax(axis=1)]
        true = np.array(CATEGORIES)[people.top_categories[counts.index, half]]
        assert (top == true).mean() > 0.8


def test_the_click_rate_falls_with_the_position(human_rows):
    first_acts = human_rows[human_rows.action.isin(["view", "click"])].drop_duplicates(
        ["user", "visit_number", "item", "rank", "action"]
    )
    counts = first_acts.groupby(["rank", "action"]).size().unstack()
    click_rate = (counts["click"] / counts["view"]).to_numpy()
    assert click_rate[:3].min() > click_rate[3:7].mean() > click_rate[7:].mean()


def test_buying_visits_have_more_clicks_and_go_through_the_cart(human_rows):
    visits = human_rows[human_rows.visit_number < RETURN_VISIT_OFFSET].groupby(
        ["user", "visit_number"]
    )
    counts = visits.action.value_counts().unstack(fill_value=0)
    buys = counts["purchase"] > 0
    assert 0.05 < buys.mean() < 0.12
    assert (counts[buys]["add_to_cart"] > 0).all()
    assert (counts[buys]["checkout"] > 0).all()
    assert counts[buys]["click"].mean() > 2 * counts[~buys]["click"].mean()


def test_events_follow_within_half_an_hour_and_those_of_a_bot_within_a_fifth_of_a_second(shop_rows):
    ordered = shop_rows[shop_rows.visit_number < REVIEW_VISIT_OFFSET].sort_values(
        ["user", "visit_number", "event_number"]
    )
    gaps = ordered.groupby(["user", "visit_number"]).milliseconds.diff().dropna()
    assert (gaps > 0).all()
    assert gaps.max() < 30 * 60_000
    assert (gaps[ordered.is_bot] == 200).all()
    assert ordered.is_bot.any()


def test_the_words_of_a_review_fit_its_stars_in_both_languages(human_rows):
    reviews = human_rows[human_rows.review.notna()]
    for phrases in (REVIEW_PHRASES, CHINESE_REVIEW_PHRASES):
        for stars, openings in enumerate(phrases, start=1):
            matching = reviews[reviews.review.str.startswith(openings)]
            assert len(matching) > 0
            assert (matching.stars == stars).all()


def test_age_and_gender_shift_the_top_category():
    people = SHOP.people(np.arange(SHOP.n_users))
    top = people.top_categories[:, 0]
    share = {
        (category, band): (top[people.age == age] == CATEGORIES.index(category)).mean()
        for category in ("games", "garden")
        for age, band in enumerate(AGE_BANDS)
    }
    assert share["games", "18-24"] > 5 * share["games", "55+"]
    assert share["garden", "55+"] > 5 * share["garden", "18-24"]
    beauty = top == CATEGORIES.index("beauty")
    assert beauty[people.gender == 0].mean() > 5 * beauty[people.gender == 1].mean()


@pytest.fixture(scope="module")
def small_shop() -> Shop:
    return replace(SHOP, n_users=300, bots_share=0.02)


@pytest.fixture(scope="module")
def raw(spark, small_shop) -> pd.DataFrame:
    return simulate_events(spark, small_shop, date(2026, 1, 1), dirt_share=0.2).toPandas()


def test_dirt_has_the_named_kinds_and_the_configured_share(raw):
    def rows_of(kind):
        return raw[raw.dirt == kind]

    duplicates = rows_of("duplicate")
    assert raw.event_id.duplicated().sum() == len(duplicates) / 2 > 0
    copies = raw[raw.event_id.isin(duplicates.event_id)]
    assert 2 * len(copies.drop_duplicates()) == len(duplicates)
    assert raw[raw.uid.isna()].equals(rows_of("null_user"))
    assert raw[~raw.time.str.match(r"\d{4}-\d\d-\d\dT")].equals(rows_of("unparsable_time"))
    assert raw[raw.time.str.startswith("2199")].equals(rows_of("future_time"))
    assert raw[raw.price == "on request"].equals(rows_of("word_for_price"))
    assert raw[raw.price.str.startswith("-", na=False)].equals(rows_of("negative_price"))
    assert raw[raw.stars == "9"].equals(rows_of("stars_out_of_range"))
    late = rows_of("late")
    assert (pd.to_datetime(late.received) - pd.to_datetime(late.time)).dt.days.isin([1, 2, 3]).all()
    people = raw[raw.dirt != "bot"]
    assert (people.dirt != "clean").mean() == pytest.approx(0.2, abs=0.03)


def test_raw_rows_do_not_depend_on_the_number_of_partitions(spark, small_shop, raw, monkeypatch):
    monkeypatch.setattr("profile_lib.simulation.simulate.USERS_PER_PARTITION", 60)
    again = simulate_events(spark, small_shop, date(2026, 1, 1), dirt_share=0.2)
    assert again.rdd.getNumPartitions() == 5
    columns = ["event_id", "dirt"]
    pd.testing.assert_frame_equal(
        again.toPandas().sort_values(columns, ignore_index=True),
        raw.sort_values(columns, ignore_index=True),
    )


def test_half_of_the_users_declare_their_true_facts(spark, small_shop, raw):
    truth = build_user_truth(spark, small_shop).toPandas().set_index("uid")
    declared = simulate_users(spark, small_shop).toPandas().set_index("uid")
    assert len(truth) == 300
    assert len(declared) == pytest.approx(150, abs=30)
    facts = ["age_band", "gender", "region"]
    assert declared[facts].equals(truth.loc[declared.index, facts])
    assert set(raw[raw.dirt == "bot"].uid) == set(truth[truth.is_bot].index)


def test_rows_show_only_items_of_the_catalog(spark, small_shop, raw):
    items = build_item_truth(spark, small_shop).toPandas().set_index("item")
    shown = raw[raw.item.notna()]
    assert (shown.title.to_numpy() == items.title[shown.item].to_numpy()).all()
    assert (shown.category.to_numpy() == items.category[shown.item].to_numpy()).all()
    assert items.title.str.contains(r"[\u4e00-\u9fff]").mean() == pytest.approx(0.4, abs=0.1)
