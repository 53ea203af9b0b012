"""Check that files, rows of a table and messages become events as they arrive, once each."""

import gzip
import json
import shutil
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.stream_arrivals import ArrivalStream
from profile_lib.pipelines.stream_queries import BatchId, RunningQuery, watch_queries
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.spark.column_shapes import quote_name
from profile_lib.tables import (
    DATA_QUALITY,
    EVENTS,
    INGESTED_FILES,
    ITEM_STATISTICS,
    REJECTED_EVENTS,
)
from tests.pipelines.raw_shop import MAPPING, event, shop_settings, write_events

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 20, tzinfo=UTC)
DELTA = {"inputs": MAPPING["inputs"] | {"events": {"format": "delta"}}}


def stream_settings(folder: Path, mapping: dict | None = None, **ingest: object) -> Settings:
    changes = {
        "stream.source": "files",
        "stream.checkpoint": str(folder / "checkpoint"),
    }
    return with_values(shop_settings(folder, mapping, **ingest), changes)


def arrive(store: Store, settings: Settings) -> None:
    """Process what is available, and end."""
    running = ArrivalStream(store, settings, time.time).start(once=True)
    assert running is not None
    running.query.awaitTermination()
    assert running.input_errors == []


def count_events(store: Store) -> int:
    return store.read_or_empty(EVENTS).count()


def test_a_stream_of_an_empty_folder_waits_and_then_ingests_each_file_once(store, tmp_path):
    (tmp_path / "raw" / "events").mkdir(parents=True)
    settings = stream_settings(tmp_path)
    arrive(store, settings)
    assert count_events(store) == 0
    write_events(tmp_path, "1.json", [event(1), event(2, event_type="teleport")])
    (tmp_path / "raw" / "events" / "2.json").write_text("")
    arrive(store, settings)
    write_events(tmp_path, "copy.json", [event(1), event(2, event_type="teleport")])
    write_events(tmp_path, "3.json", [event(1), event(3)])
    arrive(store, settings)
    assert count_events(store) == 2
    reasons = [row["reasons"] for row in store.read(REJECTED_EVENTS).collect()]
    assert reasons == [["event_type:not_mapped"]]
    files = store.read(INGESTED_FILES).where("n_bytes > 0").collect()
    assert {Path(row["path"]).name: row["status"] for row in files} == {
        "1.json": "read",
        "copy.json": "copy",
        "3.json": "read",
    }


def test_an_unreadable_file_ends_the_stream_which_continues_without_it(store, tmp_path):
    settings = stream_settings(tmp_path)
    write_events(tmp_path, "1.json", [event(1)])
    torn = tmp_path / "raw" / "events" / "torn.json.gz"
    torn.write_bytes(gzip.compress(json.dumps(event(2)).encode())[:-9])
    running = ArrivalStream(store, settings, time.time).start(once=True)
    with pytest.raises(InputError, match=r"torn.json.gz"):
        watch_queries([running], StreamProgress(60, 60), on_idle=lambda: None)
    assert count_events(store) == 0
    torn.unlink()
    arrive(store, settings)
    assert count_events(store) == 1


def test_a_stream_may_reject_all_rows_of_a_batch(store, tmp_path):
    settings = stream_settings(tmp_path, max_rejected_share=0.0, max_shares={"not_json": 0.0})
    write_events(tmp_path, "1.json", [event(1, None)])
    (tmp_path / "raw" / "events" / "2.json").write_text('{"torn": \n')
    arrive(store, settings)
    rejected = sorted(row["reasons"][0] for row in store.read(REJECTED_EVENTS).collect())
    assert rejected == ["not_json", "user_id:missing"]


def make_table(spark: SparkSession, folder: Path) -> str:
    """Make a Delta table with deletion vectors and column mapping; return its SQL name."""
    name = f"delta.{quote_name(f'{folder}/raw/events')}"
    columns = ", ".join(f"{column} STRING" for column in ("id", *MAPPING["columns"]))
    spark.sql(
        f"CREATE TABLE {name} (extra INT, {columns}) USING delta TBLPROPERTIES "
        "('delta.columnMapping.mode' = 'name', 'delta.enableDeletionVectors' = 'true')"
    )
    return name


def insert(spark: SparkSession, name: str, *events: dict) -> None:
    columns = spark.table(name).schema
    values = [tuple(({"extra": 1} | raw).get(column) for column in columns.names) for raw in events]
    spark.createDataFrame(values, columns).createOrReplaceTempView("inserted")
    spark.sql(f"INSERT INTO {name} SELECT * FROM inserted")


def test_rows_that_are_added_to_a_delta_table_become_events_and_deleted_ones_stay(
    spark, store, tmp_path
):
    settings = stream_settings(tmp_path, DELTA)
    name = make_table(spark, tmp_path)
    insert(spark, name, event(1), event(2), event(3, event_type="teleport"))
    spark.sql(f"DELETE FROM {name} WHERE id = 'e2'")
    arrive(store, settings)
    assert count_events(store) == 1
    insert(spark, name, event(4))
    spark.sql(f"DELETE FROM {name} WHERE id = 'e1'")
    arrive(store, settings)
    assert count_events(store) == 2
    assert store.read(REJECTED_EVENTS).count() == 1


@pytest.mark.trial
def test_the_batches_of_a_new_checkpoint_count_as_others(spark, store, tmp_path):
    settings = stream_settings(tmp_path, DELTA)
    name = make_table(spark, tmp_path)
    insert(spark, name, event(1))
    arrive(store, settings)
    shutil.rmtree(tmp_path / "checkpoint")
    insert(spark, name, event(2))
    arrive(store, settings)
    counts = store.read(DATA_QUALITY).where("n_rows > 0").groupBy("rule").sum("n_rows").collect()
    assert dict(map(tuple, counts)) == {"read": 3, "kept": 2, "known": 1}
    titles = [row["titles"] for row in store.read(ITEM_STATISTICS).orderBy("item_id").collect()]
    assert titles == [{"Title 1": 1}, {"Title 2": 1}]


@pytest.mark.parametrize("state", ["missing", "empty", "without columns"])
def test_a_stream_waits_for_a_table_without_columns_and_then_ingests_its_rows(
    spark, store, tmp_path, state
):
    path = tmp_path / "raw" / "events"
    arrivals = ArrivalStream(store, stream_settings(tmp_path, DELTA), time.time)
    if state == "empty":
        path.mkdir(parents=True)
    if state == "without columns":
        spark.sql(f"CREATE TABLE delta.`{path}` USING delta")
    assert arrivals.start(once=True) is None
    if state == "without columns":
        shutil.rmtree(path)
    insert(spark, make_table(spark, tmp_path), event(1))
    main = spark.readStream.format("rate").load().writeStream.format("noop").start()
    waiting = partial(arrivals.start, once=True)
    watch_queries([RunningQuery(main, [])], StreamProgress(60, 60), lambda: None, waiting)
    assert not main.isActive
    assert count_events(store) == 1


@pytest.mark.parametrize(
    ("mapping", "key"),
    [
        ({"columns": MAPPING["columns"] | {"brand": "brandt"}}, "shop.columns.brand"),
        (
            {"inputs": {**DELTA["inputs"], "events": {"format": "delta", "where": "brandt = 'x'"}}},
            "shop.inputs.events.where",
        ),
    ],
    ids=["mapped", "where"],
)
def test_a_stream_of_a_table_that_lacks_a_column_consumes_nothing(
    spark, store, tmp_path, mapping, key
):
    settings = stream_settings(tmp_path, DELTA | mapping)
    insert(spark, make_table(spark, tmp_path), event(1))
    with pytest.raises(InputError) as error:
        ArrivalStream(store, settings, time.time).start(once=True)
    path = f"{tmp_path}/raw/events"
    assert str(error.value).startswith(f"{key}: no column brandt; {path} has: event_ts, event_type")
    assert not (tmp_path / "checkpoint").exists()


def test_messages_become_events_and_a_batch_that_is_repeated_adds_nothing(spark, store, tmp_path):
    arrivals = ArrivalStream(store, stream_settings(tmp_path), NOW.timestamp)
    values = [json.dumps(event(1)), json.dumps(event(2)), json.dumps(event(1)), "torn", None]
    rows = [
        (value and value.encode(), "clicks", 0, offset, NOW) for offset, value in enumerate(values)
    ]
    schema = "value binary, topic string, partition int, offset long, timestamp timestamp"
    messages = spark.createDataFrame(rows, schema)
    for _ in range(2):
        arrivals.process_messages(store, messages, BatchId("query", 0))
    events = store.read(EVENTS).orderBy("event_ts").collect()
    assert [row["sequence"] for row in events] == [0, 1]
    assert {row["ingest_ts"] for row in events} == {NOW.replace(tzinfo=None)}
    rejected = store.read(REJECTED_EVENTS).orderBy("row_number").collect()
    assert [(row["file"], row["row_number"], row["reasons"]) for row in rejected] == [
        ("clicks/0", 3, ["not_json"]),
        ("clicks/0", 4, ["not_json"]),
    ]
    counts = {row["rule"]: row["n_rows"] for row in store.read(DATA_QUALITY).collect()}
    assert (counts["read"], counts["kept"], counts["duplicate"]) == (5, 2, 1)


def test_a_stream_of_several_tables_is_refused(store, tmp_path):
    inputs = {"a": {"format": "delta"}, "b": {"format": "delta"}, "users": {"format": "jsonl"}}
    mapping = {"inputs": inputs, "event_inputs": {"a": {}, "b": {}}}
    with pytest.raises(InputError) as error:
        ArrivalStream(store, stream_settings(tmp_path, mapping), time.time)
    assert str(error.value) == (
        "shop.event_inputs: 2 inputs; a stream reads files of any number of inputs, but one table "
        "or topic"
    )
