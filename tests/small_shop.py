"""Build a shop with three items, and a model that reads its numbers alone."""

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
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS, Table
from profile_lib.tables.features import NUMERIC_FEATURES
from tests.shops import START
from tests.worlds import dev_settings

VERSION_COLUMN = "events_version"  # depends on when a profile was computed
TITLES = {"mug": "blue mug", "tee": "blue tee", "pen": "red pen"}


def save_plain_model(folder: Path, seed: int = 0) -> None:
    """Save an untrained model of the numbers, whose weights depend on `seed`."""
    torch.manual_seed(seed)
    spec = ModelSpec(
        tasks=(TaskSpec(name="buys", kind="binary"),),
        numeric=tuple(c.name for c in NUMERIC_FEATURES), numeric_bins=2, numeric_hidden=4,
        joined_size=4, dropout=0.0, max_tokens=8, separator_id=102, bert=None,
    )  # fmt: skip
    model = ProfileModel(spec).eval()
    save_model(str(folder), model, encoder_folder("default"), {}, {})


def shop_settings(folder: Path, *changes: str) -> Settings:
    """Return settings with two buckets of users, rebuilt in one chunk."""
    buckets = ("refresh.user_buckets=2", "refresh.buckets_per_chunk=2")
    return dev_settings(folder, *buckets, *changes)


def new_shop(spark, folder: Path) -> tuple[Store, Settings]:
    """Create a shop with a catalog, one user's attributes and a model, but without events."""
    settings = shop_settings(folder)
    save_plain_model(folder / "models" / settings.training.name)
    store = Store(spark, str(folder / "tables"))
    items = [(i, t, "things", "acme", 1.0, 0.5, t.split(), t.split()) for i, t in TITLES.items()]
    store.upsert(ITEMS, frame(store, ITEMS, items))
    store.upsert(USERS, frame(store, USERS, []))
    store.append(
        USERS, frame(store, USERS, [("ann", None, "f", None, {}, {"gender": (START, "f")}, START)])
    )
    return store, settings


def frame(store: Store, table: Table, rows: list[tuple]) -> DataFrame:
    """Return rows as a frame with the columns of a table."""
    return store.spark.createDataFrame(rows, table.schema)


def event(number: int, user: str, minute: int, kind: str, item: str | None, late: int) -> tuple:
    """Return an event at a minute after START that arrives and is loaded `late` minutes later."""
    ts = START + timedelta(minutes=minute)
    arrival = ts + timedelta(minutes=late)
    values = {
        "event_id": f"e{number}", "user_id": user, "event_ts": ts, "event_date": ts.date(),
        "event_type": kind, "item_id": item if kind != "search" else None,
        "query": "blue teapots" if kind == "search" else None, "price": 2.5, "source": "s",
        "ingest_ts": arrival, "load_date": arrival.date(),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


def write_events(store: Store, events: list[tuple], deleted: bool = False) -> None:
    """Upsert events, or delete them."""
    rows = frame(store, EVENTS, events).withColumn(IS_DELETED, F.lit(deleted))
    store.upsert(EVENTS, rows)


def read_profiles(store: Store) -> dict[str, dict]:
    """Read all profiles by user, without the version they were computed from."""
    rows = [row.asDict(recursive=True) for row in store.read(USER_PROFILES).collect()]
    assert len({row["user_id"] for row in rows}) == len(rows)
    return {
        row["user_id"]: {name: value for name, value in row.items() if name != VERSION_COLUMN}
        for row in rows
    }
