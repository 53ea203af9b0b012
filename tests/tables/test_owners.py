"""Every table with personal data names the user of each row, so that people can be erased."""

import json

import pytest

from profile_lib.pipelines.erase_tables import OWN_TABLES
from profile_lib.tables import REJECTED_EVENTS, TABLES, Table
from profile_lib.tables.owners import mentions, row_owners
from profile_lib.tables.table import STRING, required


@pytest.mark.usefixtures("spark")
def test_rows_of_every_table_with_marked_columns_have_an_owner():
    marked = {t.name for t in TABLES if any(c.pii is not None for c in t.columns)}
    owned = {t.name for t in TABLES if t not in OWN_TABLES and row_owners(t)}
    assert owned == marked - {"erasures", "suppressed_ids"}


def test_a_composite_pseudonym_names_the_owner_and_a_text_alone_is_refused(rows):
    def table(kind) -> Table:
        return Table("visits", "", ("a",), (required("a", STRING, "", kind),), "")

    owners = row_owners(table("composite pseudonym"))
    assert rows("a string", ("ann-1",)).select(*owners).first() == ("ann",)
    assert row_owners(table(None)) == []
    with pytest.raises(ValueError, match="visits: a hold personal data, but no column names"):
        row_owners(table("text"))


@pytest.mark.usefixtures("spark")
def test_events_and_rejected_ones_name_devices_and_browsers_beside_their_user():
    columns = {table.name: [mention.column for mention in mentions(table)] for table in TABLES}
    assert {name: found for name, found in columns.items() if found} == {
        "events": ["device_id", "anonymous_id"],
        "rejected_events": ["row", "row"],
    }


def test_an_id_in_a_rejected_row_is_found_and_cleared_and_a_text_about_it_stays(rows):
    event = {"device_id": "ab12", "anonymous_id": "cd34", "text": 'say "device_id":"ab12"'}
    frame = rows("row string", (json.dumps(event, separators=(",", ":")),))
    device, browser = mentions(REJECTED_EVENTS)
    assert frame.select(device.id, browser.id).first() == ("ab12", "cd34")
    cleared = json.loads(frame.select(device.cleared).first()[0])
    assert cleared == event | {"device_id": None}
