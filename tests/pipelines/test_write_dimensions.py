"""Check that users and items are the same in any order of batches, repeated or beside others."""

import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from pyspark.sql import SparkSession

from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.dimensions import write_items, write_users
from profile_lib.tables import IDENTITY, ITEM_STATISTICS, ITEMS, USERS, Table
from profile_lib.tables.table import FACTS

SEEN = "user_id string, raw_id string, event_ts timestamp"
DECLARED_USERS = f"user_id string, declared {FACTS.simpleString()}"
SOLD = "item_id string, title string, category string, price double"
CATALOG = (
    "item_id string, title string, category string, brand string, price double, "
    "declared_ts timestamp"
)


def day(number: int) -> datetime:
    return datetime(2026, 1, number)


def add_users(store: Store, seen: list[tuple], declared: list[tuple] | None = None) -> None:
    """Write the users of one batch; the raw id of a user is the id in capitals."""
    events = store.spark.createDataFrame([(u, u.upper(), ts) for u, ts in seen], SEEN)
    facts = None if declared is None else store.spark.createDataFrame(declared, DECLARED_USERS)
    write_users(store, events, facts, "shop")


def add_items(store: Store, batch_id: str, *sold: tuple, catalog: list[tuple] | None = None):
    """Write the items of one batch of events."""
    events = store.spark.createDataFrame(list(sold), SOLD)
    declared = None if catalog is None else store.spark.createDataFrame(catalog, CATALOG)
    write_items(store, events, declared, max_text_chars=100, batch_id=batch_id)


def read(store: Store, table: Table) -> dict[str, tuple]:
    return {row[0]: tuple(row)[1:] for row in store.read(table).collect()}


def facts_of(store: Store, user: str) -> tuple:
    """Return what the table shows of a user: age band, gender, region and attributes."""
    return read(store, USERS)[user][:4]


def descriptions(store: Store) -> dict[str, tuple]:
    """Return title, category and price of each item."""
    return {item: (row[0], row[1], row[3]) for item, row in read(store, ITEMS).items()}


class InterruptedStore(Store):
    """A store that lets something happen once, when a table is read and not yet written."""

    def __init__(self, spark: SparkSession, root: str, table: Table, act: Callable[[], None]):
        super().__init__(spark, root, max_attempts=8, first_wait_seconds=0.01)
        self.table, self.act = table, act
        self.is_done = False

    def _commit(self, table: Table, write: Callable[[], None], may_replace: bool = False) -> None:
        if table is self.table and not self.is_done:
            self.is_done = True
            self.act()
        super()._commit(table, write, may_replace)


def write_in_thread(write: Callable[[], None]) -> Callable[[], None]:
    """Return a function that runs another writer to its end."""

    def run() -> None:
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()

    return run


def test_a_source_without_declared_users_leaves_all_facts_and_withdrawn_ones_go(store):
    add_users(store, [("ann", day(2))], [("ann", {"gender": (day(1), "f"), "kids": (day(1), "2")})])
    add_users(store, [("ann", day(1)), ("bob", day(3))])
    assert facts_of(store, "ann") == (None, "f", None, {"kids": "2"})
    assert read(store, USERS)["ann"][-1] == day(1)  # the earlier event
    add_users(
        store, [("ann", day(4))], [("ann", {"kids": (day(5), None), "age_band": (day(5), "18-24")})]
    )
    assert facts_of(store, "ann") == ("18-24", "f", None, {})
    assert read(store, IDENTITY) == {"ann": ("ANN", "shop"), "bob": ("BOB", "shop")}


USER_BATCHES = (
    ([("ann", day(5))], [("ann", {"gender": (day(1), "f"), "region": (day(1), "north")})]),
    ([("ann", day(3)), ("bob", day(3))], [("ann", {"region": (day(3), None)}), ("zoe", {})]),
    ([("ann", day(9))], [("ann", {"region": (day(2), "south"), "kids": (day(2), "1")})]),
)


def test_users_are_the_same_in_any_order_of_batches_and_after_a_repetition(spark, tmp_path):
    tables = []
    for order in ((0, 1, 2), (2, 1, 0, 1)):
        store = Store(spark, str(tmp_path / str(order)))
        for number in order:
            add_users(store, *USER_BATCHES[number])
        tables.append(read(store, USERS))
    facts = {"gender": (day(1), "f"), "kids": (day(2), "1"), "region": (day(3), None)}
    assert tables[0] == {
        "ann": (None, "f", None, {"kids": "1"}, facts, day(3)),
        "bob": (None, None, None, {}, {}, day(3)),
        "zoe": (None, None, None, {}, {}, None),  # without events, and so without identity
    }
    assert tables[1] == tables[0]
    assert set(read(store, IDENTITY)) == {"ann", "bob"}


def test_a_batch_without_news_about_users_or_items_commits_nothing(store):
    catalog = [("mug", "mug", "cups", None, 1.0, day(1))]
    for batch_id in ("b1", "b2"):
        add_users(store, [("ann", day(2))], [("ann", {"gender": (day(1), "f")})])
        add_items(store, batch_id, ("mug", "a mug", None, 2.0), catalog=catalog)
        if batch_id == "b1":
            versions = [store.version(table) for table in (IDENTITY, USERS, ITEMS)]
    assert [store.version(table) for table in (IDENTITY, USERS, ITEMS)] == versions


def test_a_user_update_of_another_writer_between_reading_and_merging_is_not_lost(store):
    add_users(store, [("ann", day(5))], [("ann", {"gender": (day(1), "f")})])

    def write_other() -> None:
        other = Store(store.spark, store.root)
        news = {"gender": (day(3), None), "kids": (day(3), "2"), "region": (day(3), "north")}
        add_users(other, [("ann", day(1)), ("bob", day(1))], [("ann", news)])

    late = InterruptedStore(store.spark, store.root, USERS, write_in_thread(write_other))
    news = {"gender": (day(2), "x"), "region": (day(4), "south")}
    add_users(late, [("ann", day(2)), ("bob", day(2))], [("ann", news)])
    assert late.is_done
    assert facts_of(store, "ann") == (None, None, "south", {"kids": "2"})
    assert [row[-1] for row in read(store, USERS).values()] == [day(1), day(1)]


ITEM_BATCHES = {
    "b1": [("mug", "Mug", "cups", 10.0)] * 3 + [("tee", "Tee", "tops", 5.0)],
    "b2": [("mug", "Sale!", "sale", 0.01)] * 2,
    "b3": [("mug", "Sale!", "cups", 20.0)] * 2 + [("pen", None, None, None)],
}


def test_the_catalog_is_the_same_in_any_order_of_batches_and_wrong_prices_do_not_move_it(
    spark, tmp_path
):
    catalogs = []
    for order in (("b1", "b2", "b3"), ("b3", "b2", "b1")):
        store = Store(spark, str(tmp_path / "".join(order)))
        for batch_id in order:
            add_items(store, batch_id, *ITEM_BATCHES[batch_id])
        catalogs.append(read(store, ITEMS))
    assert catalogs[0] == {
        "mug": ("Sale!", "cups", None, 10.0, 0.0, ["sale"], ["Sale"]),
        "tee": ("Tee", "tops", None, 5.0, 0.0, ["tee"], ["Tee"]),
        "pen": (None, None, None, None, None, [], []),
    }
    assert catalogs[1] == catalogs[0]


def test_a_declared_catalog_wins_over_events_if_it_has_a_value_and_its_latest_version_counts(store):
    add_items(store, "b1", ("mug", "event mug", "cups", 3.0), catalog=[
        ("mug", "Declared mug", None, None, 9.0, day(2)), ("new", "New", None, None, None, day(2)),
    ])  # fmt: skip
    assert descriptions(store) == {"mug": ("Declared mug", "cups", 9.0), "new": ("New", None, None)}
    add_items(store, "b2", catalog=[
        ("mug", "Newest", None, None, None, day(3)), ("mug", "Older", "x", None, 1.0, day(1)),
        ("new", "Older", "older", None, 1.0, day(1)),
    ])  # fmt: skip
    assert descriptions(store) == {"mug": ("Newest", "cups", 3.0), "new": ("New", None, None)}


def test_a_killed_run_that_is_repeated_counts_each_event_once_even_after_other_batches(store):
    add_items(store, "b0", ("tee", "Tee", "tops", 1.0))

    def die() -> None:
        raise InputError("killed")

    killed = InterruptedStore(store.spark, store.root, ITEMS, die)
    with pytest.raises(InputError, match="killed"):
        add_items(killed, "b1", *[("mug", "Mug", "cups", 10.0)] * 2)
    assert set(descriptions(store)) == {"tee"}
    add_items(store, "b2", *[("mug", "Mug", "cups", 30.0)] * 3)
    add_items(store, "b1", *[("mug", "Mug", "cups", 10.0)] * 2)
    assert read(store, ITEM_STATISTICS)["mug"][3] == {30.0: 3, 10.0: 2}
    assert descriptions(store)["mug"] == ("Mug", "cups", 30.0)


@pytest.mark.parametrize("table", [ITEM_STATISTICS, ITEMS], ids=lambda table: table.name)
def test_items_of_another_writer_between_reading_and_merging_are_not_lost(store, table):
    add_items(store, "b0", ("mug", "Mug", "cups", 10.0), ("cup", "Cup", "cups", 12.0))

    def write_other() -> None:
        other = Store(store.spark, store.root)
        add_items(other, "b1", *[("mug", "Big mug", "cups", 20.0)] * 3, ("new", "New", "cups", 1.0))

    late = InterruptedStore(store.spark, store.root, table, write_in_thread(write_other))
    add_items(late, "b2", ("mug", "Mug", "cups", 30.0), ("late", "Late", "cups", 15.0))
    assert late.is_done
    assert read(store, ITEM_STATISTICS)["mug"][3] == {20.0: 3, 10.0: 1, 30.0: 1}
    assert {item: row[:5] for item, row in read(store, ITEMS).items()} == {
        "new": ("New", "cups", None, 1.0, 0.0),
        "cup": ("Cup", "cups", None, 12.0, 0.35),  # a third
        "late": ("Late", "cups", None, 15.0, 0.65),  # without the other writer's item it is 0.5
        "mug": ("Big mug", "cups", None, 20.0, 1.0),
    }
