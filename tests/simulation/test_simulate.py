"""The simulated shop: the same for a seed, and what its truth says is found in its rows."""

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
    """The rows that come out where the users come in these batches."""
    numbers = [pa.record_batch([pa.array(list(b), pa.int64())], names=["id"]) for b in batches]
    return pa.Table.from_batches(list(make_row_batches(shop, numbers))).to_pandas()


@pytest.fixture(scope="module")
def shop_rows() -> pd.DataFrame:
    return make_rows(SHOP, range(SHOP.n_users))


@pytest.fixture(scope="module")
def human_rows(shop_rows) -> pd.DataFrame:
    return shop_rows[~shop_rows.is_bot]


def test_a_users_rows_do_not_depend_on_the_others_of_the_batch():
    once = make_rows(SHOP, range(60))
    apart = pd.concat([make_rows(SHOP, range(40, 60)), make_rows(SHOP, range(1), range(1, 40))])
    keys = ["user", "visit_number", "step"]
    pd.testing.assert_frame_equal(
        once.sort_values(keys, ignore_index=True), apart.sort_values(keys, ignore_index=True)
    )


def test_another_seed_makes_another_shop():
    assert not make_rows(SHOP, range(20)).equals(
        make_rows(Shop(**{**vars(SHOP), "seed": 4}), range(20))
    )


def test_views_of_a_categorys_items_follow_zipfs_law(human_rows):
    views = human_rows[human_rows.action == "view"].groupby(["category", "item"]).size()
    slopes = []
    for category in CATEGORIES:
        counts = views[category].sort_index().to_numpy()  # items are numbered by popularity
        rank = np.arange(1, len(counts) + 1)
        slopes.append(np.polyfit(np.log(rank), np.log(counts), 1)[0])
    assert np.mean(slopes) == pytest.approx(-1, abs=0.2)


def test_interests_show_in_what_is_seen_and_drift_half_way(human_rows):
    people = SHOP.people(np.arange(SHOP.n_users))
    drifters = people.top_categories[:, 0] != people.top_categories[:, 1]
    assert (drifters == people.drifts).all()
    assert drifters.mean() == pytest.approx(0.3, abs=0.03)
    seen = human_rows[human_rows.category.notna() & (human_rows.visit_number < 100_000)]
    late = seen.milliseconds >= 30 * 86_400_000
    for half in (0, 1):
        part = seen[late == bool(half)]
        counts = part.groupby(["user", "category"]).size().unstack(fill_value=0)
        counts = counts[counts.sum(axis=1) >= 20]
        top = counts.columns[counts.to_numpy().argmax(axis=1)]
        true = np.array(CATEGORIES)[people.top_categories[counts.index, half]]
        assert (top == true).mean() > 0.8


def test_clicks_fall_with_the_position(human_rows):
    first = human_rows[human_rows.action.isin(["view", "click"])].drop_duplicates(
        ["user", "visit_number", "item", "rank", "action"]
    )
    table = first.groupby(["rank", "action"]).size().unstack()
    rate = (table["click"] / table["view"]).to_numpy()
    assert rate[:3].min() > rate[3:7].mean() > rate[7:].mean()


def test_buying_visits_have_more_clicks_and_go_through_the_cart(human_rows):
    visits = human_rows[human_rows.visit_number < 100_000].groupby(["user", "visit_number"])
    counts = visits.action.value_counts().unstack(fill_value=0)
    buys = counts["purchase"] > 0
    assert 0.05 < buys.mean() < 0.12
    assert (counts[buys]["add_to_cart"] > 0).all()
    assert (counts[buys]["checkout"] > 0).all()
    assert counts[buys]["click"].mean() > 2 * counts[~buys]["click"].mean()


def test_a_visit_has_no_gap_as_long_as_half_an_hour_and_a_bot_outruns_people(shop_rows):
    ordered = shop_rows[shop_rows.visit_number < 200_000].sort_values(
        ["user", "visit_number", "step"]
    )
    gaps = ordered.groupby(["user", "visit_number"]).milliseconds.diff().dropna()
    assert (gaps > 0).all()
    assert gaps.max() < 30 * 60_000
    assert (gaps[ordered.is_bot] == 200).all()
    assert ordered.is_bot.any()


def test_words_and_stars_of_a_review_agree_in_both_languages(human_rows):
    reviews = human_rows[human_rows.review.notna()]
    for phrases in (REVIEW_PHRASES, CHINESE_REVIEW_PHRASES):
        for stars, said in enumerate(phrases, start=1):
            starts = reviews.review.map(lambda text, said=said: text.startswith(said))
            assert starts.any()
            assert (reviews[starts].stars == stars).all()


def test_age_and_gender_shift_the_top_category():
    people = SHOP.people(np.arange(SHOP.n_users))
    top = people.top_categories[:, 0]
    share = {
        (c, band): (top[people.age == a] == CATEGORIES.index(c)).mean()
        for c in ("games", "garden")
        for a, band in enumerate(AGE_BANDS)
    }
    assert share["games", "18-24"] > 5 * share["games", "55+"]
    assert share["garden", "55+"] > 5 * share["garden", "18-24"]
    beauty = top == CATEGORIES.index("beauty")
    assert beauty[people.gender == 0].mean() > 5 * beauty[people.gender == 1].mean()


@pytest.fixture(scope="module")
def small_shop() -> Shop:
    return Shop(**{**vars(SHOP), "n_users": 300, "bots_share": 0.02})


@pytest.fixture(scope="module")
def raw(spark, small_shop) -> pd.DataFrame:
    return simulate_events(spark, small_shop, date(2026, 1, 1), dirt_share=0.2).toPandas()


def test_dirt_has_the_named_kinds_and_the_configured_share(raw):
    def of(kind):
        return raw[raw.dirt == kind]

    assert raw.event_id.duplicated().sum() == len(of("duplicate")) / 2 > 0
    assert raw[raw.event_id.isin(of("duplicate").event_id)].drop_duplicates().shape[0] * 2 == len(
        of("duplicate")
    )
    assert raw[raw.uid.isna()].equals(of("null_user"))
    assert raw[~raw.time.str.match(r"\d{4}-\d\d-\d\dT")].equals(of("unparsable_time"))
    assert raw[raw.time.str.startswith("2199")].equals(of("future_time"))
    assert raw[raw.price == "on request"].equals(of("word_for_price"))
    assert raw[raw.price.str.startswith("-", na=False)].equals(of("negative_price"))
    assert raw[raw.stars == "9"].equals(of("stars_out_of_range"))
    late = of("late")
    assert (pd.to_datetime(late.received) - pd.to_datetime(late.time)).dt.days.isin([1, 2, 3]).all()
    people = raw[raw.dirt != "bot"]
    assert (people.dirt != "clean").mean() == pytest.approx(0.2, abs=0.03)


def test_the_same_raw_rows_come_out_of_any_number_of_partitions(
    spark, small_shop, raw, monkeypatch
):
    monkeypatch.setattr("profile_lib.simulation.simulate.USERS_PER_PARTITION", 60)
    again = simulate_events(spark, small_shop, date(2026, 1, 1), dirt_share=0.2)
    assert again.rdd.getNumPartitions() == 5
    columns = ["event_id", "dirt"]
    pd.testing.assert_frame_equal(
        again.toPandas().sort_values(columns, ignore_index=True),
        raw.sort_values(columns, ignore_index=True),
    )


def test_half_the_people_are_declared_as_the_truth_has_them(spark, small_shop, raw):
    truth = build_user_truth(spark, small_shop).toPandas().set_index("uid")
    declared = simulate_users(spark, small_shop).toPandas().set_index("uid")
    assert len(truth) == 300
    assert len(declared) == pytest.approx(150, abs=30)
    same = ["age_band", "gender", "region"]
    assert declared[same].equals(truth.loc[declared.index, same])
    assert set(raw[raw.dirt == "bot"].uid) == set(truth[truth.is_bot].index)


def test_the_items_sold_are_those_of_the_catalogue(spark, small_shop, raw):
    items = build_item_truth(spark, small_shop).toPandas().set_index("item")
    sold = raw[raw.item.notna()]
    assert (sold.title.to_numpy() == items.title[sold.item].to_numpy()).all()
    assert (sold.category.to_numpy() == items.category[sold.item].to_numpy()).all()
    assert items.title.str.contains(r"[\u4e00-\u9fff]").mean() == pytest.approx(0.4, abs=0.1)
