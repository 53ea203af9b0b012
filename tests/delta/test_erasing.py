"""Rows are removed from the files, the earlier versions and the log of a table."""

from pathlib import Path

import pytest
from pyspark.sql import functions as F

from profile_lib.delta.erasing import (
    clear_ids,
    delete_rows,
    find_rows,
    purge_deleted_rows,
    remove_history,
    version_at,
)
from profile_lib.errors import InputError
from profile_lib.tables import Table
from profile_lib.tables.owners import Mention
from profile_lib.tables.table import STRING, optional, required
from tests.worlds import NOTES

pytestmark = pytest.mark.slow


def test_a_row_of_another_user_loses_an_erased_id_and_stays(store, rows):
    table = Table(
        "visits", "", ("id",), (required("id", STRING, ""), optional("c", STRING, "")), ""
    )
    schema = "id string, c string"
    store.append(table, rows(schema, ("1", "x"), ("2", "y"), ("3", None)))
    mention = Mention("c", F.col("c"), F.lit(None).cast("string"))
    clear_ids(store, table, mention, rows("user_id string", ("x",), ("x",), ("z",)))
    assert {tuple(row) for row in store.read(table).collect()} == {
        ("1", None), ("2", "y"), ("3", None),
    }  # fmt: skip


def test_an_erased_user_is_in_no_file_and_in_no_earlier_version(store, rows):
    schema = "user_id string, user_bucket int, n long"
    store.upsert(NOTES, rows(schema, ("annemarie", 0, 1), ("bob", 0, 2), ("cat", 1, 3)))
    store.upsert(NOTES, rows(schema, ("annemarie", 0, 4)))
    users = rows("request string, user_id string", ("r", "annemarie"))
    owner = [F.col("user_id")]
    (found,) = find_rows(store, NOTES, owner, users).collect()
    assert (found["request"], found["table"], found["n_rows"]) == ("r", "notes", 1)
    assert (Path(store.path(NOTES)) / found["file"]).stat().st_size == found["n_bytes"]
    delete_rows(store, NOTES, owner, users)
    purge_deleted_rows(store, NOTES)
    assert find_rows(store, NOTES, owner, users).isEmpty()
    version = store.version(NOTES)
    remove_history(store, NOTES, retention_hours=1)
    assert store.read(NOTES, version - 2).count() == 3  # running jobs can still read it
    remove_history(store, NOTES, retention_hours=0)
    files = [file for file in Path(store.path(NOTES)).rglob("*") if file.is_file()]
    assert [file for file in files if b"annemarie" in file.read_bytes()] == []
    assert {tuple(row) for row in store.read(NOTES).collect()} == {("bob", 0, 2), ("cat", 1, 3)}
    with pytest.raises(InputError, match="no version"):
        store.read(NOTES, version)
    assert store.changes(NOTES, version) is None
    assert version_at(store, NOTES, store.commit_time(NOTES, store.version(NOTES))) > version
