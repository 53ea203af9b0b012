"""Maintenance leaves fewer files and the same rows, also while others write."""

import threading
from datetime import datetime

import pytest
from pyspark.sql import Row
from pyspark.testing import assertDataFrameEqual

from profile_lib.config.settings import load_settings
from profile_lib.delta.compaction import MIB, FileLayout, group_layouts
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.maintain_tables import maintain, run
from profile_lib.tables import EVENTS, IDENTITY, USER_PROFILES, USER_PROFILES_HISTORY
from tests.worlds import NOTES, NOW, profile_row

SETTINGS = load_settings("conf/dev.yaml")
MAINTENANCE = SETTINGS.maintain
NoteRow = Row(*NOTES.column_names())


def event(number: int) -> tuple[object, ...]:
    ts = datetime(2026, 1, 1 + number % 2, number)
    values = {
        "event_id": f"e{number}", "user_id": f"u{number % 3}", "event_ts": ts,
        "event_date": ts.date(), "event_type": "view", "source": "test", "ingest_ts": ts,
        "load_date": ts.date(),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


@pytest.mark.slow
def test_a_fragmented_table_gets_fewer_files_with_the_same_rows(store, rows, tmp_path):
    expected = [event(number) for number in range(4)]
    for values in expected:
        store.append(EVENTS, rows(EVENTS.schema, values))
    store.replace(IDENTITY, rows(IDENTITY.schema, ("u0", "0", "test")).coalesce(1))
    store.upsert(USER_PROFILES, rows(USER_PROFILES.schema, profile_row("u0")))
    without_retention = MAINTENANCE.model_copy(update={"retention_hours": 0})
    settings = SETTINGS.model_copy(update={"maintain": without_retention})

    events, identity, profiles, history = run(store, settings, force=True, now=NOW)

    assertDataFrameEqual(store.read(EVENTS), rows(EVENTS.schema, *expected))
    assert (events.table, events.files_before, events.files_after) == ("events", 4, 2)
    files = list((tmp_path / "tables" / "events").glob("event_date=*/*.parquet"))
    sizes = sorted(file.stat().st_size for file in files)  # the old files are removed from disk
    assert [events.smallest, events.largest] == sizes
    assert (events.bytes_after, events.mean) == (sum(sizes), sum(sizes) // 2)
    assert events.files_removed == 4
    assert (identity.files_before, identity.files_after, identity.files_removed) == (1, 1, 0)
    assert (profiles.table, history.table) == ("user_profiles", "user_profiles_history")
    assert store.read(USER_PROFILES_HISTORY).count() == 1

    version = store.version(EVENTS)  # a table that is not fragmented is not written again
    again = maintain(store, EVENTS, file_bytes=MIB, commit_bytes=MIB, retention_hours=168)
    assert (again.files_before, again.files_after, again.files_removed) == (2, 2, 0)
    commits = store.spark.sql(f"DESCRIBE HISTORY delta.`{store.path(EVENTS)}`")
    assert commits.where(f"version > {version} AND operation = 'OPTIMIZE'").isEmpty()


@pytest.mark.slow
def test_files_are_compacted_while_another_writer_merges_and_no_row_is_lost(spark, rows, tmp_path):
    store = Store(spark, str(tmp_path), max_attempts=10, first_wait_seconds=0.05)
    users = [f"u{number}" for number in range(6)]
    store.replace(NOTES, rows(NOTES.schema, *((user, 0, 0) for user in users)))
    errors: list[Exception] = []

    def write() -> None:
        other_store = Store(spark, str(tmp_path), max_attempts=10, first_wait_seconds=0.05)
        try:
            for n in range(1, 4):
                other_store.upsert(NOTES, rows(NOTES.schema, *((user, 0, n) for user in users[:3])))
        except InputError as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    n_compactions = 0
    while writer.is_alive():
        store.compact(NOTES, MIB, "user_bucket IN ('0')")
        n_compactions += 1
    writer.join()
    assert not errors
    assert n_compactions > 1
    expected = [NoteRow(user, 0, 3 if user in users[:3] else 0) for user in users]
    assertDataFrameEqual(store.read(NOTES), expected)
    commits = spark.sql(f"DESCRIBE HISTORY delta.`{store.path(NOTES)}`")
    assert commits.where("operation = 'MERGE'").count() == 3
    assert commits.where("operation = 'OPTIMIZE'").count() >= 1


def test_a_retention_too_short_for_streams_is_refused_unless_forced(store):
    short = MAINTENANCE.model_copy(update={"retention_hours": 1})
    settings = SETTINGS.model_copy(update={"maintain": short})
    message = r"retention_hours: found 1, wanted maintain.min_retention_hours \(168"
    with pytest.raises(InputError, match=message):
        run(store, settings, now=NOW)
    assert run(store, settings, force=True, now=NOW) == []


def test_neighbouring_partitions_are_grouped_up_to_a_size():
    layouts = [
        FileLayout(name, 2, size, 1, 1) for name, size in zip("abcd", (5, 5, 1, 20), strict=True)
    ]
    groups = [[layout.partition for layout in group] for group in group_layouts(layouts, 10)]
    assert groups == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    ("n_files", "n_bytes", "is_fragmented"),
    [(1, 5, False), (2, 5, True), (2, 11, False), (3, 20, False), (4, 20, True), (1, 0, False)],
)
def test_a_table_with_over_one_and_a_half_times_the_files_it_needs_is_fragmented(
    n_files, n_bytes, is_fragmented
):
    assert FileLayout(None, n_files, n_bytes, 1, 1).is_fragmented(10) is is_fragmented
