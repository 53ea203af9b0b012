"""Check drafts of mappings of small files: exact guesses, and no value in a comment."""

import io
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import Table

from profile_lib.errors import InputError
from profile_lib.events.drafting.draft import draft_mapping
from profile_lib.events.drafting.heads import Head
from profile_lib.events.drafting.samples import read_json_rows, read_sample, sample_rows
from profile_lib.events.mapping import SourceMapping

MANY_ROWS = 10_000


def draft(content: bytes, path: str = "events") -> dict:
    """Draft the mapping of one file, and check that a mapping reads it."""
    sample = read_sample([Head(path, content)], MANY_ROWS)
    values = yaml.safe_load(draft_mapping("shop", path, sample))
    SourceMapping.model_validate(values)
    return values


def to_lines(*objects: dict) -> bytes:
    return "\n".join(json.dumps(row) for row in objects).encode()


def test_a_german_file_with_semicolons_is_described():
    rows = "Kunde;Datum;Aktion;Artikelnr;Preis;Warengruppe;Bezeichnung\n" + "".join(
        f"k{n % 4};{n % 28 + 1:02}.11.2025 09:30;{('Ansicht', 'Kauf')[n % 5 == 0]};a{n % 7};"
        f"1.{n:03},50;Küche;Käse {'abcdefg'[n % 7]}\n"
        for n in range(40)
    )
    assert draft(rows.encode("latin-1")) == {
        "name": "shop",
        "inputs": {
            "events": {
                "format": "csv",
                "encoding": "cp1252",
                "csv": {"delimiter": ";", "header": True},
            }
        },
        "columns": {
            "user_id": "Kunde",
            "event_ts": "Datum",
            "event_type": "Aktion",
            "item_id": "Artikelnr",
            "price": "Preis",
            "title": "Bezeichnung",
            "category": "Warengruppe",
        },
        "times": {"format": "dd.MM.yyyy HH:mm", "time_zone": "UTC"},
        "decimal_sign": ",",
        "event_types": {"Ansicht": "view", "Kauf": "purchase"},
    }


def test_columns_without_a_header_are_guessed_by_their_values():
    rows = "".join(
        f"{1000 + n // 10},{50 + n * 7 % 31},{9 + n * 7 % 31 % 3},"
        f"{('pv', 'pv', 'fav', 'buy')[n % 4]},{1511544070 + n * 60}\n"
        for n in range(100)
    )
    assert draft(rows.encode()) == {
        "name": "shop",
        "inputs": {
            "events": {
                "format": "csv",
                "csv": {
                    "header": False,
                    "names": ["user_id", "item_id", "category", "event_type", "event_ts"],
                },
            }
        },
        "columns": {
            "user_id": "user_id",
            "event_ts": "event_ts",
            "event_type": "event_type",
            "item_id": "item_id",
            "category": "category",
        },
        "times": {"unit": "s"},
        "event_types": {"pv": "view", "fav": "favourite", "buy": "purchase"},
    }


def test_an_array_of_items_is_unfolded_and_keyed_parameters_are_read():
    def event(n: int, name: str, items: list[dict]) -> dict:
        return {
            "event_name": name,
            "event_timestamp": str(1709287200000000 + n),
            "user_id": f"u-{n}" if n % 3 == 0 else None,
            "user_pseudo_id": f"p{n % 5}.1",
            "event_params": [
                {"key": "ga_session_id", "value": {"int_value": str(n // 2)}},
                {"key": "search_term", "value": {"string_value": f"mug {n}"}},
            ],
            "ecommerce": {"transaction_id": f"T{n}"},
            "items": items,
        }

    item = {"item_id": "a1", "item_name": "A mug", "price": 5.0, "quantity": 2}
    other = {"item_id": "a2", "item_name": "A bowl", "price": 7.5, "quantity": 1}
    events = [event(n, "page_view", []) for n in range(9)]
    events += [event(n, "purchase", [item, other]) for n in range(9, 12)]
    assert draft(to_lines(*events)) == {
        "name": "shop",
        "inputs": {
            "events": {
                "format": "jsonl",
                "unfold": {"column": "items", "alias": "item"},
                "params": {"column": "event_params"},
            }
        },
        "columns": {
            "user_id": "coalesce(user_id, user_pseudo_id)",
            "event_ts": "event_timestamp",
            "event_type": "event_name",
            "item_id": "item.item_id",
            "query": "param('search_term')",
            "price": "item.price",
            "quantity": "item.quantity",
            "session_hint": "param('ga_session_id')",
            "order_id": "ecommerce.transaction_id",
            "title": "item.item_name",
        },
        "times": {"unit": "us"},
        "event_types": {"page_view": "page", "purchase": "purchase"},
    }


def test_an_array_of_events_makes_each_element_an_event_of_the_session():
    sessions = [
        {
            "session": n,
            "events": [
                {"aid": 10 + n, "ts": 1661724000278 + n, "type": "clicks"},
                {"aid": 11, "ts": 1661724009278 + n, "type": "orders"},
            ],
        }
        for n in range(6)
    ]
    content = json.dumps(sessions).encode()
    assert draft(content[:-20]) == {  # the head of a longer array
        "name": "shop",
        "inputs": {"events": {"format": "jsonl", "unfold": {"column": "events", "alias": "event"}}},
        "columns": {
            "user_id": "session",
            "event_ts": "event.ts",
            "event_type": "event.type",
            "item_id": "event.aid",
            "session_hint": "session",
        },
        "times": {"unit": "ms"},
        "event_types": {"clicks": "click", "orders": "purchase"},
    }


def test_rows_without_an_event_type_or_a_user_are_left_out():
    rows = []
    for n in range(20):
        rows.append({"index": {"_id": str(n)}})
        user = f"c{n % 4}" if n % 5 else None
        rows.append(
            {"client_id": user, "action_name": "click", "timestamp": "2024-12-10T00:01:29Z",
             "event_attributes": {"object": {"object_id": f"B{n % 3}"}}, "message_id": f"m{n}"}
        )  # fmt: skip
    found = draft(to_lines(*rows))
    assert found["inputs"]["events"]["where"] == "action_name IS NOT NULL AND client_id IS NOT NULL"
    assert found["columns"] == {
        "user_id": "client_id",
        "event_ts": "timestamp",
        "event_type": "action_name",
        "item_id": "event_attributes.object.object_id",
    }
    assert found["id_columns"] == ["message_id"]


IS_RETURN = "CASE WHEN CAST(Quantity AS DOUBLE) < 0 THEN 'return' ELSE 'purchase' END"


def test_order_lines_are_purchases_and_negative_quantities_returns(tmp_path):
    lines = pd.DataFrame(
        {
            "InvoiceNo": [f"{536 + n // 3}" for n in range(30)],
            "StockCode": [f"85{n % 11}A" for n in range(30)],
            "Quantity": [-1 if n == 7 else n % 4 + 1 for n in range(30)],
            "InvoiceDate": pd.to_datetime([f"2010-12-{n % 28 + 1:02} 08:26" for n in range(30)]),
            "UnitPrice": [2.55 + n for n in range(30)],
            "CustomerID": [17850.0 + n // 6 for n in range(30)],
        }
    )
    path = tmp_path / "orders.parquet"
    pq.write_table(Table.from_pandas(lines), path)
    head = Head(str(path), path.read_bytes(), is_parquet=True)
    found = yaml.safe_load(draft_mapping("shop", str(path), read_sample([head], MANY_ROWS)))
    assert found == {
        "name": "shop",
        "inputs": {"events": {"format": "parquet"}},
        "columns": {
            "user_id": "CAST(CAST(CustomerID AS BIGINT) AS STRING)",
            "event_ts": "InvoiceDate",
            "event_type": IS_RETURN,
            "item_id": "StockCode",
            "price": "UnitPrice",
            "quantity": "Quantity",
            "order_id": "InvoiceNo",
        },
        "rows_are_distinct": True,
        "times": {"time_zone": "UTC"},
        "event_types": {"purchase": "purchase", "return": "return"},
    }


def test_a_day_and_a_time_of_day_are_joined_and_signs_of_currencies_removed():
    rows = "member,day,clock,product,amount,qty,basket_id\n" + "".join(
        f"m{n % 5},{n % 28 + 1:02}/12/2024,9:{n % 60:02},p{n % 9},$ {n}.50,2,b{n}\n"
        for n in range(40)
    )
    found = draft(rows.replace("day", "date", 1).encode())
    assert found["columns"]["event_ts"] == "concat_ws(' ', date, clock)"
    assert found["times"] == {"format": "dd/MM/yyyy H:mm", "time_zone": "UTC"}
    assert found["columns"]["price"] == (
        "try_divide(CAST(regexp_replace(amount, '[^0-9.,+-]', '') AS DOUBLE), CAST(qty AS DOUBLE))"
    )


@pytest.mark.parametrize(
    ("path", "event_type"), [("data/buys.dat", "purchase"), ("clicks/", "view"), ("x.csv", "view")]
)
def test_the_name_of_the_files_says_what_all_rows_are(path, event_type):
    rows = "".join(f"s{n // 3},2014-04-07T10:51:{n:02}.277Z,i{n % 7}\n" for n in range(30))
    assert draft(rows.encode(), path)["event_types"] == {event_type: event_type}


def test_a_required_column_that_is_not_found_is_left_to_a_person():
    found = draft(b"text,label\ngood and cheap,1\nbad,0\nnot bad,0\n")
    assert found["columns"] == {
        "user_id": "CAST(NULL AS STRING)",
        "event_ts": "CAST(NULL AS STRING)",
        "event_type": "'view'",
        "text": "text",
    }


def test_no_comment_or_line_shows_a_value_other_than_words_of_events():
    secrets = ("ann.smith@example.org", "4929-1234", "a very private note", "Geheim")
    rows = "customer_id,event_time,action,phone,comment,city\n" + "".join(
        f"{secrets[0]}{n % 9},2026-01-02 10:00:{n:02},view,{secrets[1]}{n},{secrets[2]} {n},"
        f"{secrets[3]}{n % 3}\n"
        for n in range(50)
    )
    text = draft_mapping("shop", "e", read_sample([Head("e", rows.encode())], MANY_ROWS))
    assert "view: view" in text
    assert [secret for secret in secrets if secret in text] == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), min_size=1, max_size=6))
def test_any_objects_give_a_draft_that_a_mapping_reads(rows):
    text = draft_mapping("shop", "e", sample_rows("jsonl", rows))
    assert SourceMapping.model_validate(yaml.safe_load(text)).name == "shop"


def test_an_invalid_line_of_json_is_skipped_and_a_file_without_objects_refused():
    assert read_json_rows('{"a": "1"}\n{"a": \n{"a": "2"}\n', 9) == [{"a": "1"}, {"a": "2"}]
    with pytest.raises(
        InputError, match="no whole JSON object in the first 9 bytes of e; raise dr"
    ):
        read_sample([Head("e", b'{"a": [1,')], MANY_ROWS)


def test_rows_of_another_length_are_counted():
    sample = read_sample([Head("e", b"uid,ts\nu1,1\nu2\nu3,3,3\n")], MANY_ROWS)
    assert (sample.nested.n_rows, sample.n_invalid) == (1, 2)
    assert io.StringIO(draft_mapping("shop", "e", sample)).readline() == (
        "# Draft of a mapping of e, from 1 rows; 2 others cannot be read.\n"
    )
