"""What may be listed is what the shop's rules say of items and of a stock list."""

import numpy as np
import pyarrow as pa
import pytest

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.eligibility import apply_eligibility
from profile_lib.tables import ITEMS

IDS = pa.array(["boot", "hat", "shoe", "sold long ago"])
PRICES = {"boot": 60.0, "hat": 20.0, "shoe": None}


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """A store whose catalog has all of IDS but the last."""
    store = Store(spark, str(tmp_path_factory.mktemp("shop")))
    told = [{"item_id": item, "price": price, "keywords": []} for item, price in PRICES.items()]
    rows = [tuple(row.get(name) for name in ITEMS.column_names()) for row in told]
    store.replace(ITEMS, spark.createDataFrame(rows, ITEMS.schema))
    return store


def offers(store, **rules):
    told = [f"recommend.{name}={value}" for name, value in rules.items()]
    return apply_eligibility(store, load_settings("base", told).recommend, IDS)


def stock_list(tmp_path, *lines):
    path = tmp_path / "stock.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_without_rules_all_of_the_catalogue_is_offered_at_its_score(shop):
    all_of_it = offers(shop)
    assert all_of_it.is_eligible.tolist() == [True, True, True, False]
    assert all_of_it.boost.tolist() == [1.0] * 4


def test_rules_read_the_catalogue_and_the_stock_list(shop, tmp_path):
    stock = stock_list(tmp_path, "item_id,stock,margin", "boot,0,0.5", "hat,3,0.5", "new,9,0.1")
    ruled = offers(
        shop, stock=stock, eligible="coalesce(stock, 1) > 0", boost="1 + coalesce(margin, 0)"
    )
    assert ruled.is_eligible.tolist() == [False, True, True, False]
    assert ruled.boost.tolist() == [1.0, 1.5, 1.0, 1.0]


def test_where_a_rule_is_null_the_item_is_not_offered(shop):
    assert offers(shop, eligible="price < 50").is_eligible.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"eligible": "stok > 0"}, "recommend.eligible: no column stok in items"),
        ({"eligible": "1 = 1"}, "recommend.eligible: .* names no column of items"),
        ({"eligible": "price > 1000"}, "recommend.eligible: .* holds for none of 4 items"),
        ({"boost": "price"}, "recommend.boost: 'price' is nan for item shoe; wanted a number abo"),
        ({"boost": "item_id * 2"}, "recommend.boost: .* cannot be computed"),
        ({"stock": "/nowhere.csv"}, "recommend.stock"),
    ],
)
def test_rules_that_cannot_be_are_told(shop, rules, told):
    with pytest.raises(InputError, match=told):
        offers(shop, **rules)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("id,stock", "boot,1"), "has id, stock; wanted item_id"),
        (("item_id,price", "boot,1"), "and items both have price; rename its own"),
        (("item_id,stock", "boot,1", "boot,2"), "has item boot 2 times; wanted it once"),
    ],
)
def test_a_stock_list_that_cannot_be_is_told(shop, tmp_path, lines, told):
    with pytest.raises(InputError, match=told):
        offers(shop, stock=stock_list(tmp_path, *lines), eligible="stock > 0")


def test_a_boost_that_is_not_known_of_an_item_is_told(shop, tmp_path):
    stock = stock_list(tmp_path, "item_id,margin", "boot,-3")
    with pytest.raises(InputError, match="is nan for item hat"):
        offers(shop, stock=stock, boost="1 + margin", eligible="item_id != 'boot'")
    assert np.isfinite(offers(shop).boost).all()
