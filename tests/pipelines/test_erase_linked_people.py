"""A person of several ids is erased as if never there, also when the files come again."""

import os
import re
from pathlib import Path

import pytest

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import erase_users, ingest_events
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.tables import (
    EVENTS,
    IDENTITY,
    IDENTITY_LINKS,
    PEOPLE,
    SUPPRESSED_IDS,
    USER_HISTORIES,
    USERS,
)
from tests.end_to_end.seeded_ids import find_tokens
from tests.pipelines.raw_shop import DAYS, event, shop_settings, to_lines, write_events
from tests.worlds import NOW

pytestmark = pytest.mark.trial

NAMES = ("user_id", "event_ts", "event_type", "item_id", "price", "anonymous_id")
MAPPING = {"columns": {name: name for name in NAMES}}
OF_ANN = [
    event(1, None, anonymous_id="c-1"),
    event(2, "ann", anonymous_id="c-1"),
    event(3, "ann", day=2, anonymous_id="c-2"),
    event(4, "ann", day=2, event_type="buy"),
]
OF_OTHERS = [
    event(5, None, anonymous_id="c-9"),
    event(6, "bob", anonymous_id="c-9"),
    event(7, "bob", day=2),
    event(8, None, day=2, anonymous_id="c-8"),
]
TABLES = (EVENTS, USERS, IDENTITY, IDENTITY_LINKS, PEOPLE)


def build(spark, folder: Path, events: list[dict]) -> tuple[Store, Settings]:
    """Ingest events, and build the histories."""
    settings = shop_settings(folder, MAPPING)
    os.utime(folder / "raw" / "users.json", (DAYS[1], DAYS[1]))  # the time of declared facts
    store = Store(spark, f"{folder}/tables")
    write_events(folder, "1.json", events, day=2)
    ingest_events.run(store, settings, now=NOW)
    update_histories(store, settings)
    return store, settings


def read_others(store: Store) -> dict[str, list[str]]:
    """Return the rows of all tables; Ann's declared facts are of no event."""
    rows = {table.name: to_lines(store.read(table)) for table in TABLES}
    histories = store.read(USER_HISTORIES).drop("events_version")
    return rows | {USER_HISTORIES.name: to_lines(histories)}


def test_one_id_of_a_person_erases_all_of_them_and_leaves_the_tables_of_the_others(spark, tmp_path):
    store, settings = build(spark, tmp_path / "all", OF_OTHERS + OF_ANN)
    ids = {row["raw_id"]: row["user_id"] for row in store.read(IDENTITY).collect()}
    linked = store.read(PEOPLE).where(f"person_id = '{ids['ann']}'").collect()
    anns = {ids["ann"]} | {row["user_id"] for row in linked}
    assert len(anns) == 3
    (tmp_path / "requests.csv").write_text("raw_id,space\nc-2,shop:anonymous\n")
    erased = with_values(
        settings,
        {
            "erase.requests": str(tmp_path / "requests.csv"),
            "erase.grace_hours": 0,
            **{f"paths.{name}": str(tmp_path / name) for name in ("models", "work")},
        },
    )
    for _ in range(2):
        erase_users.run(store, erased, now=NOW)
    assert store.read(SUPPRESSED_IDS).count() == 3
    # The same rows in another file, as if the source had sent all of them again.
    write_events(tmp_path / "all", "2.json", OF_OTHERS[:1] + OF_ANN, day=3)
    ingest_events.run(store, settings, now=NOW)
    update_histories(store, settings)

    files = [file for file in (tmp_path / "all" / "tables").rglob("*") if file.is_file()]
    for id in anns:
        assert not list(find_tokens(files, re.compile(id[:32].encode())))
    assert list(find_tokens(files, re.compile(ids["bob"][:32].encode())))

    never, _ = build(spark, tmp_path / "never", OF_OTHERS)
    others = read_others(never)
    declared = to_lines(never.read(USERS).where(f"user_id = '{ids['ann']}'"))
    others[USERS.name] = [line for line in others[USERS.name] if line not in declared]
    assert read_others(store) == others
