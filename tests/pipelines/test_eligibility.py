"""Test the shop's eligibility rules, boosts and stock list."""

import numpy as np
import pyarrow as pa
import pytest

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.eligibility import apply_eligibility
from profile_lib.tables import ITEMS

ITEM_IDS = pa.array(["boot", "hat", "shoe", "removed"])
PRICES = {"boot": 60.0, "hat": 20.0, "shoe": None}


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """Write a catalog with all ITEM_IDS except the last."""
    store = Store(spark, str(tmp_path_factory.mktemp("shop")))
    items = [{"item_id": item, "price": price, "keywords": []} for item, price in PRICES.items()]
    rows = [tuple(item.get(name) for name in ITEMS.column_names()) for item in items]
    store.replace(ITEMS, spark.createDataFrame(rows, ITEMS.schema))
    return store


def apply_rules(store, **rules):
    overrides = [f"recommend.{name}={value}" for name, value in rules.items()]
    settings = load_settings("base", overrides)
    return apply_eligibility(store, settings.recommend, ITEM_IDS)


def write_stock_list(tmp_path, *lines):
    path = tmp_path / "stock.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_without_rules_every_item_of_the_catalog_is_eligible_without_a_boost(shop):
    eligibility = apply_rules(shop)
    assert eligibility.is_eligible.tolist() == [True, True, True, False]
    assert eligibility.boost.tolist() == [1.0] * 4


def test_rules_read_the_catalog_and_the_stock_list(shop, tmp_path):
    stock = write_stock_list(
        tmp_path, "item_id,stock,margin", "boot,0,0.5", "hat,3,0.5", "new,9,0.1"
    )
    eligibility = apply_rules(
        shop, stock=stock, eligible="coalesce(stock, 1) > 0", boost="1 + coalesce(margin, 0)"
    )
    assert eligibility.is_eligible.tolist() == [False, True, True, False]
    assert eligibility.boost.tolist() == [1.0, 1.5, 1.0, 1.0]


def test_an_item_for_which_the_rule_is_null_is_not_eligible(shop):
    is_eligible = apply_rules(shop, eligible="price < 50").is_eligible
    assert is_eligible.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"eligible": "stok > 0"}, "recommend.eligible: no column stok in items"),
        ({"eligible": "1 = 1"}, "recommend.eligible: .* names no column of items"),
        ({"eligible": "price > 1000"}, "recommend.eligible: .* holds for none of 4 items"),
        ({"boost": "price"}, "recommend.boost: 'price' is nan for item shoe; wanted a number abo"),
        ({"boost": "item_id * 2"}, "recommend.boost: .* cannot be computed"),
        ({"stock": "/nowhere.csv"}, "recommend.stock"),
    ],
)
def test_an_invalid_rule_is_refused(shop, rules, message):
    with pytest.raises(InputError, match=message):
        apply_rules(shop, **rules)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("id,stock", "boot,1"), "has id, stock; wanted item_id"),
        (("item_id,price", "boot,1"), "and items both have price; rename the columns of"),
        (("item_id,stock", "boot,1", "boot,2"), "has item boot 2 times; wanted it once"),
    ],
)
def test_an_invalid_stock_list_is_refused(shop, tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        apply_rules(shop, stock=write_stock_list(tmp_path, *lines), eligible="stock > 0")


def test_a_boost_must_be_known_for_eligible_items_only(shop, tmp_path):
    stock = write_stock_list(tmp_path, "item_id,margin", "hat,0.5", "shoe,0.1")
    with pytest.raises(InputError, match="is nan for item boot"):
        apply_rules(shop, stock=stock, boost="1 + margin", eligible="item_id != 'hat'")
    boost = apply_rules(shop, stock=stock, boost="1 + margin", eligible="item_id != 'boot'").boost
    np.testing.assert_allclose(boost, [1, 1.5, 1.1, 1])
