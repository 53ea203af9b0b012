"""A shop of three items, told of by hand, and a model of the numbers to serve there."""

from datetime import timedelta
from pathlib import Path

import torch
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS
from profile_lib.tables.features import NUMERIC_FEATURES
from tests.shops import START
from tests.worlds import dev_settings

VERSION_COLUMN = "events_version"  # tells when a profile was computed, not what it says
TITLES = {"mug": "blue mug", "tee": "blue tee", "pen": "red pen"}


def save_plain_model(folder: Path, seed: int = 0) -> None:
    """A model of the numbers alone."""
    torch.manual_seed(seed)
    spec = ModelSpec(
        tasks=(TaskSpec(name="buys", kind="binary"),),
        numeric=tuple(c.name for c in NUMERIC_FEATURES), numeric_bins=2, numeric_hidden=4,
        joined_size=4, dropout=0.0, max_tokens=8, separator_id=102, bert=None,
    )  # fmt: skip
    model = ProfileModel(spec).eval()
    save_model(str(folder), model, encoder_folder("default"), {}, {})


def shop_settings(folder: Path) -> Settings:
    return dev_settings(folder, "refresh.user_buckets=2", "refresh.buckets_per_chunk=2")


def new_shop(spark, folder: Path) -> tuple[Store, Settings]:
    """An empty one with a catalogue, and a model to serve."""
    given = shop_settings(folder)
    save_plain_model(folder / "models" / given.training.name)
    store = Store(spark, str(folder / "tables"))
    items = [(i, t, "things", "acme", 1.0, 0.5, t.split()) for i, t in TITLES.items()]
    store.upsert(ITEMS, frame(store, ITEMS, items))
    store.upsert(USERS, frame(store, USERS, []))
    store.append(USERS, frame(store, USERS, [("ann", None, "f", None, None, {}, START)]))
    return store, given


def frame(store: Store, table, rows: list[tuple]) -> DataFrame:
    return store.spark.createDataFrame(rows, table.schema)


def event(number: int, user: str, minute: int, kind: str, item: str | None, late: int) -> tuple:
    ts = START + timedelta(minutes=minute)
    values = {
        "event_id": f"e{number}", "user_id": user, "event_ts": ts, "event_date": ts.date(),
        "event_type": kind, "item_id": item if kind != "search" else None,
        "query": "blue teapots" if kind == "search" else None, "price": 2.5, "source": "s",
        "ingest_ts": ts + timedelta(minutes=late),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


def write(store: Store, events: list[tuple], deleted: bool = False) -> None:
    """Events by their keys, or none in their place."""
    rows = frame(store, EVENTS, events).withColumn(IS_DELETED, F.lit(deleted))
    store.upsert(EVENTS, rows)


def profiles(store: Store) -> dict[str, dict]:
    """What is said of each user."""
    rows = [r.asDict(recursive=True) for r in store.read(USER_PROFILES).collect()]
    assert len({r["user_id"] for r in rows}) == len(rows)
    return {r["user_id"]: {k: v for k, v in r.items() if k != VERSION_COLUMN} for r in rows}
