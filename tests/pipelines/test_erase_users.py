"""Erase people while other jobs run, with a run that is killed, until the request is complete."""

import json
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import erase_tables, erase_users, refresh_profiles, stream_profiles
from profile_lib.pipelines.record_history import record_history
from profile_lib.tables import (
    ERASURE_RECEIPTS,
    ERASURES,
    EVENTS,
    SUPPRESSED_IDS,
    USER_HISTORIES,
    USER_PROFILES,
    USER_PROFILES_HISTORY,
    Table,
)
from tests.end_to_end.seeded_ids import find_tokens
from tests.small_shop import event, new_shop, write_events
from tests.worlds import NOW

pytestmark = pytest.mark.slow

ANN, BOB, UNKNOWN = "a1" * 32, "b2" * 32, "c3" * 32
BEGUN = datetime.now(UTC) + timedelta(minutes=10)  # later than the files that the shop has by then
LATER = BEGUN + timedelta(hours=100)


class Killed(BaseException):
    """The end of a process."""


class Shop(NamedTuple):
    """A shop from which ann was erased, and the users with a profile after each step."""

    folder: Path
    store: Store
    settings: Settings
    users: dict[str, set[str]]


def read_users(store: Store, table: Table = USER_PROFILES) -> set[str]:
    return {row["user_id"] for row in store.read(table).collect()}


def files_with(folder: Path, pseudonym: str) -> set[str]:
    """Return the files that hold a pseudonym or the part of it that Delta's statistics have."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    found = find_tokens(files, re.compile(pseudonym[:32].encode()))
    return {str(file.relative_to(folder)) for file in found}


def write_copies(folder: Path, settings: Settings) -> None:
    """Write the copies of rows that other jobs make, and a model that was trained on events."""
    texts = {
        "work/train_x/rows": ANN, "work/other": "kept",
        "exported/buyers.csv": f"user_id\n{ANN}\n{BOB}\n", "seeds.csv": f"user_id\n{ANN}\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    manifest = folder / "models" / settings.training.name / "model.json"
    values = json.loads(manifest.read_text()) | {"table_versions": {"events": 0}}
    manifest.write_text(json.dumps(values))


def kill_before_deletion(store: Store, settings: Settings, killed: Table) -> None:
    """Erase, and end just before the rows of a table are deleted."""
    delete_rows = erase_tables.delete_rows

    def delete_or_die(store: Store, table: Table, *arguments: object) -> None:
        if table is killed:
            raise Killed
        delete_rows(store, table, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erase_tables, "delete_rows", delete_or_die)
        with pytest.raises(Killed):
            erase_users.run(store, settings, now=BEGUN)


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory) -> Shop:
    """A shop that erases ann while another job runs, and is requested to do so twice."""
    folder = tmp_path_factory.mktemp("shop")
    store, settings = new_shop(spark, folder)
    changes = {
        "erase.requests": f"{folder}/requests.csv",
        "segments.export_folder": f"{folder}/exported",
        "segments.lookalikes": {"similar": {"seeds": f"{folder}/seeds.csv", "n_users": 1}},
    }
    settings = with_values(settings, changes)
    write_events(store, [event(n, user, n, "view", "mug", 0) for n, user in enumerate([ANN, BOB])])
    refresh_profiles.run(store, settings, now=NOW)
    write_copies(folder, settings)
    read_before = store.read(USER_PROFILES).where(F.col("user_id") == ANN).localCheckpoint()
    (folder / "requests.csv").write_text(f"user_id\n{ANN}\n")
    kill_before_deletion(store, settings, USER_PROFILES)
    users = {"killed": read_users(store)}
    erase_users.run(store, settings, now=BEGUN)
    users["erased"] = read_users(store)
    store.append(USER_PROFILES, read_before)  # as a job does that runs meanwhile
    record_history(store, timedelta(days=9999), NOW)
    users["written back"] = read_users(store)
    (folder / "requests.csv").write_text(f"user_id\n{ANN}\n{UNKNOWN}\n{UNKNOWN}\n")
    erase_users.run(store, settings, now=LATER)
    users["erased again"] = read_users(store)
    users["pending"] = read_users(store, ERASURES)
    (folder / "requests.csv").unlink()
    at_once = {"erase.requests": None, "erase.grace_hours": 0}
    erase_users.run(store, with_values(settings, at_once), now=LATER)
    return Shop(folder, store, settings, users)


@pytest.mark.trial
def test_a_run_that_was_killed_is_continued_and_rows_that_are_written_back_are_erased(shop):
    assert shop.users == {
        "killed": {ANN, BOB}, "erased": {BOB}, "written back": {ANN, BOB}, "erased again": {BOB},
        "pending": {ANN, UNKNOWN},
    }  # fmt: skip


def test_no_file_holds_an_erased_pseudonym_or_its_prefix(shop):
    assert files_with(shop.folder, ANN) == {"seeds.csv"}
    assert files_with(shop.folder, UNKNOWN) == set()
    assert len(files_with(shop.folder, BOB)) > 10
    assert read_users(shop.store, EVENTS) == read_users(shop.store, USER_PROFILES_HISTORY) == {BOB}


def test_a_complete_request_leaves_no_id_but_a_token_on_the_suppress_list(shop):
    assert shop.store.read(ERASURES).isEmpty()
    assert shop.store.read(SUPPRESSED_IDS).count() == 2


def test_both_requests_have_a_receipt_per_table_and_file_and_all_are_verified(shop):
    receipts = shop.store.read(ERASURE_RECEIPTS).where("kind IN ('table', 'file')").collect()
    tables = [(row["place"], row["n_rows"]) for row in receipts if row["kind"] == "table"]
    # The second request began when the events were erased, and the profile was written back.
    expected = {
        "users": (0, 0), "events": (1, 0), "user_histories": (1, 0), "user_profiles": (2, 1),
        "user_profiles_history": (1, 0),
    }  # fmt: skip
    assert sorted(tables) == sorted((t, n) for t, counts in expected.items() for n in counts)
    assert {row["verified_ts"] for row in receipts} == {LATER.replace(tzinfo=None)}
    n_by_file = sum(row["n_rows"] for row in receipts if row["kind"] == "file")
    assert n_by_file == sum(n for _, n in tables)


def test_the_receipts_list_copies_and_what_people_have_to_do(shop):
    receipts = shop.store.read(ERASURE_RECEIPTS).where("kind NOT IN ('table', 'file')").collect()
    steps = {(row["kind"], Path(row["place"]).name.split()[0]): row["action"] for row in receipts}
    assert steps == {
        ("folder", "train_x"): None,
        ("export", "buyers.csv"): None,
        ("list", "seeds.csv"): "remove the user_id that are no longer in users from the file",
        ("model", shop.settings.training.name): "train again with jobs/train_model",
    }
    assert Counter(row["kind"] for row in receipts)["model"] == 2  # one per request
    assert (shop.folder / "work" / "other").read_text() == "kept"
    assert (shop.folder / "exported" / "buyers.csv").read_text() == f"user_id\n{BOB}\n"


@pytest.mark.trial
def test_a_stream_that_has_not_read_the_events_of_an_erased_person_leaves_no_trace(spark, tmp_path):
    store, settings = new_shop(spark, tmp_path)
    settings = with_values(
        settings,
        {
            "stream.checkpoint": f"{tmp_path}/checkpoint",
            "erase.requests": f"{tmp_path}/requests.csv",
        },
    )
    write_events(store, [event(n, user, n, "view", "mug", 0) for n, user in enumerate([ANN, BOB])])
    stream_profiles.run(store, settings, once=True, clock=time.time)
    assert read_users(store) == {ANN, BOB}
    write_events(store, [event(n, user, n, "cart", "mug", 0) for n, user in [(5, ANN), (6, BOB)]])
    (tmp_path / "requests.csv").write_text(f"user_id\n{ANN}\n")
    erase_users.run(store, settings, now=BEGUN)
    stream_profiles.run(store, settings, once=True, clock=time.time)
    assert read_users(store) == read_users(store, USER_HISTORIES) == {BOB}
    (tmp_path / "requests.csv").unlink()
    at_once = {"erase.requests": None, "erase.grace_hours": 0}
    erase_users.run(store, with_values(settings, at_once), now=LATER)
    stream_profiles.run(store, settings, once=True, clock=time.time)
    assert files_with(tmp_path, ANN) == set()
