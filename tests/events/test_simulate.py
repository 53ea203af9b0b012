"""The simulated shop: the same for a seed, and what its truth says is found in its rows."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from profile_lib.events.shop.rows import Shop, row_batches
from profile_lib.events.shop.words import AGE_BANDS, CATEGORIES, CHINESE_PRAISE, PRAISE
from profile_lib.events.simulate import simulate_events, simulate_users, true_items, true_users

SHOP = Shop(
    seed=3,
    n_users=4_000,
    n_items=240,
    n_days=60,
    sessions_a_user=8,
    chinese_share=0.4,
    drift_share=0.3,
    bots_share=0.002,
)


def made(shop: Shop, *batches: range) -> pd.DataFrame:
    """The rows that come out where the users come in these batches."""
    numbers = [pa.record_batch([pa.array(list(b), pa.int64())], names=["id"]) for b in batches]
    return pa.Table.from_batches(list(row_batches(shop, numbers))).to_pandas()


@pytest.fixture(scope="module")
def shop_rows() -> pd.DataFrame:
    return made(SHOP, range(SHOP.n_users))


@pytest.fixture(scope="module")
def human(shop_rows) -> pd.DataFrame:
    return shop_rows[~shop_rows.is_bot]


def test_a_users_rows_do_not_depend_on_the_others_of_the_batch():
    once = made(SHOP, range(60))
    apart = pd.concat([made(SHOP, range(40, 60)), made(SHOP, range(1), range(1, 40))])
    keys = ["user", "number", "step"]
    pd.testing.assert_frame_equal(
        once.sort_values(keys, ignore_index=True), apart.sort_values(keys, ignore_index=True)
    )


def test_another_seed_makes_another_shop():
    assert not made(SHOP, range(20)).equals(made(Shop(**{**vars(SHOP), "seed": 4}), range(20)))


def test_views_of_a_categorys_items_follow_zipfs_law(human):
    views = human[human.action == "view"].groupby(["category", "item"]).size()
    slopes = []
    for category in CATEGORIES:
        counts = views[category].sort_index().to_numpy()  # items are numbered by popularity
        rank = np.arange(1, len(counts) + 1)
        slopes.append(np.polyfit(np.log(rank), np.log(counts), 1)[0])
    assert np.mean(slopes) == pytest.approx(-1, abs=0.2)


def test_interests_show_in_what_is_seen_and_drift_half_way(human):
    people = SHOP.people(np.arange(SHOP.n_users))
    drifters = people.top[:, 0] != people.top[:, 1]
    assert (drifters == people.drifts).all()
    assert drifters.mean() == pytest.approx(0.3, abs=0.03)
    seen = human[human.category.notna() & (human.number < 100_000)]
    late = seen.milliseconds >= 30 * 86_400_000
    for half in (0, 1):
        part = seen[late == bool(half)]
        counts = part.groupby(["user", "category"]).size().unstack(fill_value=0)
        counts = counts[counts.sum(axis=1) >= 20]
        top = counts.columns[counts.to_numpy().argmax(axis=1)]
        true = np.array(CATEGORIES)[people.top[counts.index, half]]
        assert (top == true).mean() > 0.8


def test_clicks_fall_with_the_position(human):
    first = human[human.action.isin(["view", "click"])].drop_duplicates(
        ["user", "number", "item", "rank", "action"]
    )
    table = first.groupby(["rank", "action"]).size().unstack()
    rate = (table["click"] / table["view"]).to_numpy()
    assert rate[:3].min() > rate[3:7].mean() > rate[7:].mean()


def test_who_buys_looks_more_and_comes_by_the_cart(human):
    visits = human[human.number < 100_000].groupby(["user", "number"])
    counts = visits.action.value_counts().unstack(fill_value=0)
    buys = counts["purchase"] > 0
    assert 0.05 < buys.mean() < 0.12
    assert (counts[buys]["add_to_cart"] > 0).all()
    assert (counts[buys]["checkout"] > 0).all()
    assert counts[buys]["click"].mean() > 2 * counts[~buys]["click"].mean()


def test_a_visit_has_no_gap_as_long_as_half_an_hour_and_a_bot_outruns_people(shop_rows):
    ordered = shop_rows[shop_rows.number < 200_000].sort_values(["user", "number", "step"])
    gaps = ordered.groupby(["user", "number"]).milliseconds.diff().dropna()
    assert (gaps > 0).all()
    assert gaps.max() < 30 * 60_000
    assert (gaps[ordered.is_bot] == 200).all()
    assert ordered.is_bot.any()


def test_words_and_stars_of_a_review_agree_in_both_languages(human):
    reviews = human[human.review.notna()]
    for phrases in (PRAISE, CHINESE_PRAISE):
        for stars, said in enumerate(phrases, start=1):
            starts = reviews.review.map(lambda text, said=said: text.startswith(said))
            assert starts.any()
            assert (reviews[starts].stars == stars).all()


def test_age_and_gender_shift_the_top_category():
    people = SHOP.people(np.arange(SHOP.n_users))
    top = people.top[:, 0]
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
def small() -> Shop:
    return Shop(**{**vars(SHOP), "n_users": 300, "bots_share": 0.02})


@pytest.fixture(scope="module")
def raw(spark, small) -> pd.DataFrame:
    return simulate_events(spark, small, date(2026, 1, 1), dirt_share=0.2).toPandas()


def test_dirt_is_what_it_is_called_and_as_much_as_was_asked_for(raw):
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


def test_the_same_raw_rows_come_out_of_any_number_of_partitions(spark, small, raw, monkeypatch):
    monkeypatch.setattr("profile_lib.events.simulate.USERS_A_PARTITION", 60)
    again = simulate_events(spark, small, date(2026, 1, 1), dirt_share=0.2)
    assert again.rdd.getNumPartitions() == 5
    columns = ["event_id", "dirt"]
    pd.testing.assert_frame_equal(
        again.toPandas().sort_values(columns, ignore_index=True),
        raw.sort_values(columns, ignore_index=True),
    )


def test_half_the_people_are_declared_as_the_truth_has_them(spark, small, raw):
    truth = true_users(spark, small).toPandas().set_index("uid")
    declared = simulate_users(spark, small).toPandas().set_index("uid")
    assert len(truth) == 300
    assert len(declared) == pytest.approx(150, abs=30)
    same = ["age_band", "gender", "region"]
    assert declared[same].equals(truth.loc[declared.index, same])
    assert set(raw[raw.dirt == "bot"].uid) == set(truth[truth.is_bot].index)


def test_the_items_sold_are_those_of_the_catalogue(spark, small, raw):
    items = true_items(spark, small).toPandas().set_index("item")
    sold = raw[raw.item.notna()]
    assert (sold.title.to_numpy() == items.title[sold.item].to_numpy()).all()
    assert (sold.category.to_numpy() == items.category[sold.item].to_numpy()).all()
    assert items.title.str.contains(r"[\u4e00-\u9fff]").mean() == pytest.approx(0.4, abs=0.1)
