"""Check that lookups are joined and columns mapped, and that missing columns are reported."""

import pytest
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.events.column_mapping import read_events
from tests.events.source_files import COLUMNS, CSV_LINES, write_file, write_mapping

VISITS = {
    "inputs": {"events": {"format": "csv"}, "visits": {"format": "csv"}},
    "lookups": [{"input": "visits", "join_keys": ["who"], "columns": ["device"]}],
}


def test_a_lookup_adds_its_columns_and_neither_loses_nor_repeats_an_event(spark, rows, tmp_path):
    mapping = write_mapping(tmp_path, **VISITS, columns=COLUMNS | {"device": "device"})
    visits = write_file(tmp_path, "visits.csv", "who,device,other\nann,phone,1\nann,phone,2\n")
    paths = {"events": write_file(tmp_path, "events.csv", CSV_LINES), "visits": visits}
    assertDataFrameEqual(
        read_events(spark, mapping, paths).select("user_id", "device"),
        rows("user_id string, device string", ("ann", "phone"), ("bob", None)),
    )


def test_a_missing_column_of_a_lookup_is_reported_with_the_columns_of_its_file(spark, tmp_path):
    mapping = write_mapping(tmp_path, **VISITS)
    paths = {
        "events": write_file(tmp_path, "events.csv", CSV_LINES),
        "visits": write_file(tmp_path, "visits.csv", "who,browser\nann,x\n"),
    }
    with pytest.raises(InputError, match=r"lookups.visits: no columns device; it has: who, brow"):
        read_events(spark, mapping, paths)


def test_a_missing_column_is_reported_with_the_columns_of_the_file(spark, tmp_path):
    mapping = write_mapping(tmp_path, columns=COLUMNS | {"price": "cost"})
    path = write_file(tmp_path, "events.csv", CSV_LINES)
    with pytest.raises(InputError, match=r"shop.columns.price: .*cost.*has: who, when, what"):
        read_events(spark, mapping, {"events": path})
