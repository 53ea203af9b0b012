"""Check each shipped mapping file on a few rows as its source publishes them."""

from pathlib import Path

import pytest

from profile_lib.events.cleaning import clean_events
from profile_lib.events.column_mapping import read_events
from profile_lib.events.mapping import read_mapping
from profile_lib.spark.timestamps import midnight
from profile_lib.tables.events import CONTEXT_COLUMNS
from tests.events.source_files import write_file

REES46 = """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103,,shiseido,35.79,541312140,72d7
2019-10-01 00:00:04 UTC,purchase,3900821,2053,appliances.kettle,aqua,33.20,554748717,9333
"""
UBI = """\
{"index": {"_index": "ubi_events"}}
{"application": "web", "action_name": "click", "client_id": "c1", "session_id": "s1",\
 "timestamp": "2024-06-04T18:36:04.231Z", "user_query": "tv",\
 "event_attributes": {"object": {"object_id": "B07"}, "position": {"ordinal": 3}}}
{"application": "web", "action_name": "on_search", "client_id": "c1", "session_id": "s1",\
 "timestamp": 1717526160000, "user_query": "tv", "event_attributes": {}}
{"application": "web", "action_name": "impression", "client_id": "c1", "session_id": "s1",\
 "timestamp": 1717526160000, "event_attributes": {"position": {"ordinal": 0}}}
"""
JOURNEY = """\
household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,\
coupon_match_disc,week,transaction_timestamp
900,330,31198570044,1095275,2,1.00,0,0,0,1,2017-01-01 11:53:26
"""
GA_EVENTS = """\
user_id,visit_id,visit_number,event_time_utc,hit_number,event_type,product_sku,product_name,\
product_category,product_brand,product_variant,price_usd,quantity,product_revenue_usd,\
transaction_id,search_keyword,search_category,page_path,page_title
7,1470,1,2016-08-01 10:00:00,1,page_view,,,,,,,,,,,,/google+redesign/apparel/men,Men
7,1470,1,2016-08-01 10:01:00,2,detail_view,GG1,Tee,Home/Apparel/Men's/,Google,,16.99,,,,,,/x,Tee
7,1470,1,2016-08-01 10:02:00,3,page_view,,,,,,,,,,,,/asearch.html,Search
7,1470,1,2016-08-01 10:03:00,4,checkout,GG1,Tee,,,,16.99,1,,,,,/yourinfo.html,Checkout
"""
GA_SESSIONS = """\
user_id,visit_id,channel_grouping,device_category,country,source,operating_system,browser
7,1470,Referral,desktop,Norway,(direct),Linux,Firefox
"""
CHECKED_COLUMNS = ["user_id", "event_type", "item_id", "price", "quantity"]


@pytest.fixture
def mapped(spark, tmp_path):
    """Map and clean texts, given by input name; return the rows in order of time."""

    def read(name: str, **texts: str) -> list[dict]:
        mapping = read_mapping(str(Path("conf/sources") / f"{name}.yaml"))
        paths = {}
        for input_name, text in texts.items():
            file_name = f"{input_name}.{mapping.inputs[input_name].format}.gz"
            paths[input_name] = write_file(tmp_path, file_name, text)
        frame = read_events(spark, mapping, paths)
        cleaned = clean_events(
            frame, mapping.event_types, name, earliest=midnight("2000-01-01"),
            latest=midnight("2030-01-01"), max_text_chars=100,
        )  # fmt: skip
        return [row.asDict() for row in cleaned.orderBy("event_ts").collect()]

    return read


def checked_values(rows: list[dict]) -> list[tuple]:
    assert [row["reasons"] for row in rows] == [[]] * len(rows)
    return [tuple(row[name] for name in CHECKED_COLUMNS) for row in rows]


def test_views_and_purchases_of_rees46_are_mapped(mapped):
    rows = mapped("rees46", events=REES46)
    assert checked_values(rows) == [
        ("541312140", "view", "44600062", 35.79, None),
        ("554748717", "purchase", "3900821", 33.2, None),
    ]
    assert [row["category"] for row in rows] == ["2103", "appliances.kettle"]


def test_searches_and_clicks_of_user_behavior_insights_are_mapped(mapped):
    rows = mapped("ubi", events=UBI)
    assert checked_values(rows) == [
        ("c1", "search", None, None, None),
        ("c1", "click", "B07", None, None),
    ]
    assert [(row["query"], row["position"]) for row in rows] == [("tv", None), (None, 3)]


def test_purchases_of_the_complete_journey_are_mapped(mapped):
    rows = mapped("complete_journey", events=JOURNEY)
    assert checked_values(rows) == [("900", "purchase", "1095275", 0.5, 2)]
    assert (rows[0]["order_id"], rows[0]["region"]) == ("31198570044", "store 330")


def test_events_of_the_google_merchandise_store_get_the_context_of_their_visit(mapped):
    rows = mapped("ga", events=GA_EVENTS, sessions=GA_SESSIONS)
    assert checked_values(rows) == [
        ("7", "page", None, None, None),
        ("7", "view", "GG1", 16.99, None),
        ("7", "search", None, None, None),
        ("7", "checkout", "GG1", 16.99, 1),
    ]
    contexts = {tuple(row[name] for name in CONTEXT_COLUMNS) for row in rows}
    assert contexts == {("Referral", "desktop", "Norway", "direct", "Linux", "Firefox")}
    assert [row["step"] for row in rows] == ["list", None, None, "details"]
    assert (rows[0]["text"], rows[1]["category"]) == ("men apparel", "Men's")


def test_a_cancellation_of_online_retail_has_a_negative_quantity(spark, tmp_path):
    lines = [
        ("536365", "85123A", "HEART", 6, "01.12.2010 08:26", 2.55, 17850.0, "France"),
        ("C536379", "85123A", "HEART", -1, "01.12.2010 09:41", 2.55, 17850.0, "France"),
        ("536400", "M", "Manual", 1, "01.12.2010 09:50", 1.0, None, "France"),
    ]
    columns = (
        "InvoiceNo string, StockCode string, Description string, Quantity int, "
        "InvoiceDate string, UnitPrice double, CustomerID double, Country string"
    )
    path = str(tmp_path / "orders")
    spark.createDataFrame(lines, columns).write.parquet(path)
    frame = read_events(spark, read_mapping("conf/sources/online_retail.yaml"), {"events": path})
    assert [tuple(r) for r in frame.orderBy("event_ts").select(*CHECKED_COLUMNS).collect()] == [
        ("17850", "purchase", "85123A", 2.55, 6),
        ("17850", "cancellation", "85123A", 2.55, -1),
    ]
