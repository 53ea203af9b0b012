"""Declare the tables that say what was ingested and how good it was."""

from profile_lib.tables.table import (
    DATE,
    DOUBLE,
    LONG,
    REINGEST_INSTRUCTIONS,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

INGESTED_FILES = Table(
    "ingested_files",
    "Ledger of the files that ingestion has read",
    key=("source", "path", "content_hash"),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("source", STRING, "name of the mapping that the file came through"),
        required("path", STRING, "path of the file or table"),
        required(
            "content_hash", STRING, "SHA-256 of the unpacked content; path@version of a table"
        ),
        required("input", STRING, "name of the mapping's input"),
        required("status", STRING, "read, changed: read after a change, or copy: as another file"),
        required("n_bytes", LONG, "size as stored, bytes"),
        required("modified_ts", TIMESTAMP, "time of the file's last change, UTC"),
        required("batch_id", STRING, "run that read the file, as in data_quality"),
        required("load_date", DATE, "day of that run, UTC"),
    ),
)

DATA_QUALITY = Table(
    "data_quality",
    "Rows of each ingested batch by the rule that they meet or break",
    key=("source", "batch_id", "rule", "field"),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("source", STRING, "name of the mapping"),
        required("day", DATE, "day of the run, UTC"),
        required("batch_id", STRING, "hash of the batch's files, or a stream's query and number"),
        required("rule", STRING, "such as read, kept, rejected, left_out, not_a_number"),
        required("field", STRING, "column of events that the rule is about; empty: the whole row"),
        required("n_rows", LONG, "number of rows"),
        required("share", DOUBLE, "share of the rows read, 0 to 1"),
        optional("example", STRING, "a frequent value, or the shape of one: letters a, digits 9"),
    ),
)

DAILY_VALUE_COUNTS = Table(
    "daily_value_counts",
    "Events of each batch by day and by the values of a few fields, from which drift is measured",
    key=("source", "batch_id", "day", "field", "value"),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("source", STRING, "name of the mapping"),
        required("batch_id", STRING, "batch that added or removed the events, as in data_quality"),
        required("day", DATE, "UTC date of the events"),
        required("field", STRING, "event_type, price_band, category or language"),
        required("value", STRING, "a frequent value; (missing): null; (other): all others"),
        required("n_rows", LONG, "number of events added, less that of events removed"),
    ),
)
