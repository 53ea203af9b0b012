"""Build the rows of an input as the mapping of a source gives them, and clean them."""

from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from profile_lib.config.settings import load_settings
from profile_lib.events.cleaning import Limits, clean_rows
from profile_lib.events.column_mapping import ID, IS_WANTED
from profile_lib.events.formats.registry import ARRIVAL, FILE, POSITION, PROBLEM, ROW
from profile_lib.events.mapping import SourceMapping
from profile_lib.events.readers import INDEX
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from tests.events.source_files import write_mapping

ARRIVED = datetime(2026, 1, 3, 12, tzinfo=UTC)
LIMITS = Limits(
    earliest=datetime(2020, 1, 1, tzinfo=UTC),
    latest=datetime(2026, 2, 1, tzinfo=UTC),
    max_text_chars=1_000,
    placeholder_ids=load_settings("dev").ingest.placeholder_ids,
)
WORDS = {"view": "view", "buy": "purchase", "heartbeat": None}
COLUMNS = {
    "user_id": "ann", "event_ts": "2026-01-02 03:04:05", "event_type": "view", "item_id": None,
    "query": None, "text": None, "rating": None, "price": None, "quantity": None,
    "dwell_seconds": None, "position": None, "step": None, "time_zone": None, "order_id": None,
    "session_hint": None, "channel": None, "device": None, "sequence": None, "ingest_ts": None,
    "title": None, "brand": None, "referrer": None, "currency": None, "user_agent": None,
}  # fmt: skip
ADDED = {FILE: "events.csv", ROW: "the row", PROBLEM: None, ID: None}


def mapped_frame(spark: SparkSession, changes: list[dict[str, object]]) -> DataFrame:
    """Return rows that differ from COLUMNS and ADDED by these changes; positions count from 0."""
    texts = COLUMNS | ADDED
    others = [POSITION, ARRIVAL, INDEX, IS_WANTED]
    rows = []
    for number, change in enumerate(changes):
        values = {**texts, POSITION: number, ARRIVAL: ARRIVED, INDEX: None, IS_WANTED: True}
        rows.append(tuple((values | change)[name] for name in [*texts, *others]))
    types = [f"{POSITION} long", f"{ARRIVAL} timestamp", f"{INDEX} int", f"{IS_WANTED} boolean"]
    schema = ", ".join([*(f"{name} string" for name in texts), *types])
    return spark.createDataFrame(rows, schema)


def source_mapping(folder: Path, **changes: object) -> SourceMapping:
    """Return a mapping with the event types of WORDS."""
    columns = {name: name for name in COLUMNS}
    return write_mapping(folder, columns=columns, event_types=WORDS, **changes)


def clean(spark: SparkSession, folder: Path, changes: list[dict], **mapping: object) -> list[dict]:
    """Clean rows that differ from COLUMNS and ADDED; return them in order."""
    with session_conf(spark, LENIENT_CONF):
        frame = mapped_frame(spark, changes)
        cleaned = clean_rows(frame, source_mapping(folder, **mapping), LIMITS)
        return [row.asDict() for row in cleaned.orderBy(POSITION).collect()]
