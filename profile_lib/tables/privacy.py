"""Declare the tables of key versions and of the erasure of people."""

from profile_lib.tables.table import (
    BOOLEAN,
    INT,
    LONG,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

PSEUDONYM_VERSIONS = Table(
    "pseudonym_versions",
    "Versions of the pseudonym key that the tables have had; the highest is that of all tables",
    key=("version",),
    rebuild_instructions="move {path} away: the next ingestion then begins it again",
    columns=(
        required("version", INT, "number of the version, from 1"),
        required("fingerprint", STRING, "keyed hash by which the key of the version is recognised"),
        required(
            "is_complete", BOOLEAN, "whether all tables have it; false while the key is rotated"
        ),
    ),
)

SUPPRESSED_IDS = Table(
    "suppressed_ids",
    "Suppress list: ids whose rows ingestion leaves out, because their people were erased",
    key=("token",),
    rebuild_instructions="restore {path} from a backup: without it, raw files bring people back",
    columns=(
        required(
            "token", STRING, "keyed hash of the pseudonym, from which no id follows", "pseudonym"
        ),
    ),
)

ERASURES = Table(
    "erasures",
    "Ids of pending requests for erasure; a completed request has none",
    key=("request", "user_id"),
    rebuild_instructions="move {path} away and request the erasures again",
    columns=(
        required("request", STRING, "name of the request"),
        required("user_id", STRING, "pseudonym to erase", "pseudonym"),
        required("requested_ts", TIMESTAMP, "time of the first run with the request, UTC"),
        optional(
            "found_ts",
            TIMESTAMP,
            "time from which no table had a row, UTC; null: a run has not ended",
        ),
    ),
)

ERASURE_RECEIPTS = Table(
    "erasure_receipts",
    "Places that held erased people, without their ids, and when each was free of them",
    key=("request", "place"),
    rebuild_instructions="restore {path} from a backup: no job can write these receipts again",
    columns=(
        required("request", STRING, "name of the request"),
        required("place", STRING, "table, file of a table, folder, file or model"),
        required("kind", STRING, "table, file, folder, export, list or model"),
        optional("n_rows", LONG, "rows of the request's people that it held; null: not counted"),
        optional("n_bytes", LONG, "size of the files that held them, bytes; null: not counted"),
        optional(
            "gone_ts",
            TIMESTAMP,
            "earliest time from which no file holds them, UTC; null: see action",
        ),
        optional("action", STRING, "step that a person has to take; null: none"),
        optional("verified_ts", TIMESTAMP, "time of the run that found it free of them, UTC"),
    ),
)
