"""Build a shop from raw events under a pseudonym key, with a row per user in every table."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.renewal import has_pseudonyms
from profile_lib.pipelines import build_sessions, ingest_events, refresh_profiles
from profile_lib.tables import ERASURES, IDENTITY, PEOPLE, SUPPRESSED_IDS, TABLES, Table
from profile_lib.tables.table import USER_BUCKET, TableColumn, user_bucket
from tests.small_shop import save_plain_model, shop_settings
from tests.worlds import NOW

MAPPING = {
    "name": "shop",
    "inputs": {"events": {"format": "jsonl"}},
    "columns": {
        "user_id": "who", "event_ts": "at", "event_type": "what", "item_id": "item",
        "session_hint": "visit", "order_id": "receipt", "text": "said",
        "price": "price",
    },
    "id_columns": ["id"],
    "event_types": {"view": "view", "buy": "purchase"},
}  # fmt: skip
N_BUCKETS = 2  # of shop_settings
MAX_PER_MINUTE = 5
ERASURE_TABLES = (ERASURES, SUPPRESSED_IDS)  # hold rows of erased people alone, so they are empty


def click(number: int, user: str | None = "ann", what: str = "view", **more: Any) -> dict[str, Any]:
    """Return a raw event, two minutes after the one with the number before it."""
    values = {
        "id": f"e{number}", "who": user, "what": what, "visit": f"v-{user}",
        "at": f"2026-01-10 {10 + number // 30:02}:{2 * number % 60:02}:07", "price": 2.5,
        "item": f"i{number % 3}", "receipt": f"r{number}" if what == "buy" else None, "said": None,
    }  # fmt: skip
    return values | more


def burst(first: int, last: int) -> list[dict[str, Any]]:
    """Return views of a robot in one minute."""
    return [
        click(n, "robot", at=f"2026-01-10 20:00:{n % 60:02}", visit="v-robot")
        for n in range(first, last)
    ]


# The second file makes the robot too fast, so that its stored events are rejected.
FILES = (
    [
        *[click(n, user) for n, user in enumerate(["ann", "bob", "cat", "ann", "bob"] * 3)],
        click(20, "ann", "buy", said="good"),
        click(21, None),
        click(22, "bob", "teleport"),
        *burst(30, 34),
    ],
    [click(40, "dan", "buy"), *burst(34, 38)],
)


def write_clicks(folder: Path, name: str, clicks: Sequence[dict[str, Any]]) -> None:
    """Write raw events as a file that `keyed_settings` names; it arrives at NOW."""
    (folder / "raw").mkdir(exist_ok=True)
    file = folder / "raw" / f"{name}.json"
    file.write_text("\n".join(json.dumps(line) for line in clicks), encoding="utf-8")
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))


def keyed_settings(folder: Path, key: str, *changes: str) -> Settings:
    """Return settings of the shop in `folder` whose ids are replaced under `key`."""
    folder.mkdir(exist_ok=True)
    (folder / "shop.yaml").write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    return shop_settings(
        folder,
        f"paths.tables={folder}/tables", f"paths.identity={folder}/identity",
        f"stream.checkpoint={folder}/checkpoint", f"ingest.mapping={folder}/shop.yaml",
        f"ingest.inputs={{events: {folder}/raw}}", f'ingest.pseudonym_key="{key}"',
        "ingest.max_rejected_share=1.0", f"ingest.max_events_per_minute={MAX_PER_MINUTE}",
        'ingest.latest="2026-02-01"', *changes,
    )  # fmt: skip


def build_keyed_shop(
    spark, folder: Path, key: str, raw_folder: Path | None = None
) -> tuple[Store, Settings]:
    """Ingest FILES, build sessions and profiles, and fill all other tables with a row per user.

    The files are written below `raw_folder`, or else below `folder`.
    """
    raw_folder = raw_folder or folder
    settings = keyed_settings(folder, key, f"ingest.inputs={{events: {raw_folder}/raw}}")
    save_plain_model(folder / "models" / settings.training.name)
    store = Store(spark, settings.paths.tables, settings.paths.identity)
    for number, clicks in enumerate(FILES):
        write_clicks(raw_folder, str(number), clicks)
        ingest_events.run(store, settings, now=NOW)
    build_sessions.run(store, settings)
    users = store.read(IDENTITY)
    store.append(
        PEOPLE, rows_of_users(users, PEOPLE)
    )  # before the refresh, which knows its version
    refresh_profiles.run(store, settings, now=NOW)
    for table in TABLES:
        if has_pseudonyms(table) and table not in ERASURE_TABLES and not store.exists(table):
            store.append(table, rows_of_users(users, table))
    return store, settings


def rows_of_users(users: DataFrame, table: Table) -> DataFrame:
    """Return one row of a table per user, with a value of its type in each required column."""
    values = {
        c.name: _example(c) if c.required else F.lit(None).cast(c.type)
        for c in table.columns
        if c.name != "user_id"
    }
    if "impression_id" in values:
        values["impression_id"] = F.concat(F.lit("shown to "), "raw_id")
    if USER_BUCKET in values:
        values[USER_BUCKET] = user_bucket(N_BUCKETS)
    return users.withColumns(values).select(*table.column_names())


def _example(column: TableColumn) -> Column:
    type = column.type
    if column.pii == "pseudonym":
        return F.col("user_id")
    if isinstance(type, T.ArrayType):
        return F.array().cast(type)
    if isinstance(type, T.MapType):
        return F.create_map().cast(type)
    return F.lit("1" if not isinstance(type, T.DateType | T.TimestampType) else "2026-01-10").cast(
        type
    )
