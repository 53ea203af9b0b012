"""Every table with personal data names the user of each row, so that people can be erased."""

import pytest

from profile_lib.pipelines.erase_tables import OWN_TABLES
from profile_lib.tables import TABLES, Table
from profile_lib.tables.owners import mentioned_ids, row_owners
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


def test_events_name_devices_and_browsers_beside_their_user():
    mentioned = {table.name: mentioned_ids(table) for table in TABLES}
    assert {name: ids for name, ids in mentioned.items() if ids} == {
        "events": ["device_id", "anonymous_id"]
    }
