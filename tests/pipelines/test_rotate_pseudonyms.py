"""Rotated tables equal those of a shop that was ingested under all versions of the key."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from profile_lib import cli
from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.renewal import has_pseudonyms
from profile_lib.pipelines import ingest_events, refresh_profiles, rotate_pseudonyms
from profile_lib.pipelines.record_history import record_history
from profile_lib.tables import (
    EVENTS,
    IDENTITY,
    PROFILE_REFRESH_STATE,
    PSEUDONYM_VERSIONS,
    REJECTED_EVENTS,
    SESSIONS,
    TABLES,
    USER_HISTORIES,
    USER_PROFILES,
    USER_PROFILES_HISTORY,
    Table,
)
from profile_lib.tables.table import USER_BUCKET, user_bucket
from tests.keyed_shop import (
    ERASURE_TABLES,
    N_BUCKETS,
    build_keyed_shop,
    click,
    keyed_settings,
    write_clicks,
)
from tests.worlds import NOW

pytestmark = pytest.mark.trial

OLD, NEW = "first key", "first key,second key"
KEYED_TABLES = [t for t in TABLES if has_pseudonyms(t) and t not in ERASURE_TABLES]
# The time of a commit, and the version of a state, differ from run to run.
VARYING = {"valid_from_ts", "valid_from_date", "events_version", "change_version"}


class Killed(BaseException):
    """The end of a process."""


@pytest.fixture(scope="module")
def old_folder(spark, tmp_path_factory) -> Path:
    """A shop under the first key."""
    folder = tmp_path_factory.mktemp("old")
    build_keyed_shop(spark, folder, OLD)
    return folder


@pytest.fixture(scope="module")
def rotated(spark, tmp_path_factory, old_folder) -> tuple[Store, Settings]:
    """The same shop under both keys, after a rotation that was killed once."""
    store, settings = copy_shop(spark, old_folder, tmp_path_factory.mktemp("new"))
    kill_before(store, settings, SESSIONS)
    rotate_pseudonyms.run(store, settings, now=NOW)
    return store, settings


def copy_shop(spark, source: Path, folder: Path, key: str = NEW) -> tuple[Store, Settings]:
    shutil.copytree(source, folder, dirs_exist_ok=True)
    settings = keyed_settings(folder, key)
    return Store(spark, settings.paths.tables, settings.paths.identity), settings


def kill_before(store: Store, settings: Settings, killed: Table) -> None:
    """Rotate, and end just before a table is rewritten."""
    rewrite = store.rewrite

    def rewrite_or_die(table: Table, *arguments: object) -> None:
        if table is killed:
            raise Killed
        rewrite(table, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "rewrite", rewrite_or_die)
        with pytest.raises(Killed):
            rotate_pseudonyms.run(store, settings, now=NOW)


def read_rows(store: Store, table: Table) -> list[str]:
    """Return the rows as sorted lines, without VARYING columns."""
    rows = [row.asDict(recursive=True) for row in store.read(table).collect()]
    kept = [{name: v for name, v in row.items() if name not in VARYING} for row in rows]
    return sorted(json.dumps(row, default=str) for row in kept)


@pytest.fixture(scope="module")
def direct(spark, tmp_path_factory, old_folder) -> Store:
    """A shop that was ingested under both keys, from files in the same place."""
    shutil.rmtree(old_folder / "raw")
    return build_keyed_shop(spark, tmp_path_factory.mktemp("direct"), NEW, old_folder)[0]


RENEWED = [table for table in KEYED_TABLES if table is not USER_HISTORIES]  # these are cleared


@pytest.mark.parametrize("table", RENEWED, ids=lambda table: table.name)
def test_a_rotated_table_equals_that_of_a_shop_ingested_under_both_keys(rotated, direct, table):
    rows = read_rows(rotated[0], table)
    assert rows == read_rows(direct, table)
    assert len(rows) > 0


@pytest.mark.parametrize(
    "table", [t for t in KEYED_TABLES if USER_BUCKET in t.column_names()], ids=lambda t: t.name
)
def test_users_are_in_the_buckets_of_their_new_pseudonyms(rotated, table):
    rows = rotated[0].read(table)
    assert rows.where(F.col(USER_BUCKET) != user_bucket(N_BUCKETS)).isEmpty()


def test_the_profile_of_a_user_is_still_found_by_the_raw_id(rotated):
    store, _ = rotated
    identity = store.read(IDENTITY).where("raw_id = 'ann'").select("user_id")
    (profile,) = store.read(USER_PROFILES).join(identity, "user_id").collect()
    assert (profile["n_orders"], profile["order_value"]) == (1, 2.5)


def test_the_rejected_events_of_a_robot_are_restored_under_the_new_pseudonyms(rotated, tmp_path):
    store, settings = rotated
    rows = store.read(REJECTED_EVENTS).where("array_contains(reasons, 'bot:events_per_minute')")
    hints = {json.loads(row["row"])["session_hint"] for row in rows.collect()}
    robot = store.read(IDENTITY).where("raw_id = 'robot'").first()["user_id"]
    assert {row["user_id"] for row in rows.collect()} == {robot}
    write_clicks(tmp_path, "9", [click(60, "robot", at="2026-01-10 20:05:00", visit="v-robot")])
    slower = {"ingest.max_events_per_minute": 50, "ingest.inputs": {"events": f"{tmp_path}/raw"}}
    ingest_events.run(store, with_values(settings, slower), now=NOW)
    restored = store.read(EVENTS).where(F.col("user_id") == robot).collect()
    assert len(restored) == 9
    assert {event["session_hint"] for event in restored} == hints


@pytest.fixture
def shop(spark, old_folder, tmp_path) -> tuple[Store, Settings]:
    """A copy of the shop under the first key, with settings of both keys."""
    return copy_shop(spark, old_folder, tmp_path)


def test_no_job_runs_between_two_parts_of_a_rotation(shop, tmp_path, capsys):
    store, settings = shop
    kill_before(store, settings, USER_PROFILES)
    write_clicks(tmp_path, "2", [click(50, "eve")])
    with pytest.raises(InputError, match="found version 2 in some tables only"):
        ingest_events.run(store, settings, now=NOW)
    argv = ["--config", "dev", "--set", f"paths.tables={store.root}"]
    with pytest.raises(SystemExit) as exit:
        cli.main("refresh_profiles", refresh_profiles.run, "", takes_now=True, argv=argv)
    assert exit.value.code == 2
    assert "rotate_pseudonyms.py --config FILE until it is done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            NEW,
            "found 2 versions of the pseudonym key, wanted 1 as in the tables; run python jobs/r",
        ),
        ("another key", "version 1 of the pseudonym key is not the one"),
    ],
)
def test_ingestion_refuses_another_key_than_that_of_the_tables(shop, tmp_path, key, message):
    store, _ = shop
    version = store.version(EVENTS)
    write_clicks(tmp_path, "2", [click(50, "eve")])
    with pytest.raises(InputError, match=message):
        ingest_events.run(store, keyed_settings(tmp_path, key), now=NOW)
    assert store.version(EVENTS) == version


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("first key,second key,third key", "found 3 versions of the pseudonym key, wanted 2"),
        ("another key,second key", "version 1 of the pseudonym key is not the one"),
    ],
)
def test_a_rotation_refuses_keys_that_do_not_follow_those_of_the_tables(
    shop, tmp_path, key, message
):
    store, _ = shop
    with pytest.raises(InputError, match=message):
        rotate_pseudonyms.run(store, keyed_settings(tmp_path, key), now=NOW)
    assert [row["version"] for row in store.read(PSEUDONYM_VERSIONS).collect()] == [1]


def test_after_a_rotation_events_arrive_and_only_their_users_are_refreshed(shop, tmp_path):
    store, settings = shop
    rotate_pseudonyms.run(store, settings, now=NOW)
    version = store.version(USER_PROFILES)
    refresh_profiles.run(store, settings, now=NOW)
    assert store.version(USER_PROFILES) == version
    write_clicks(tmp_path, "2", [click(50, "ann", "buy")])
    ingest_events.run(store, settings, now=NOW)
    refresh_profiles.run(store, settings, now=NOW)
    renewed = store.read(USER_PROFILES).where(f"events_version = {store.version(EVENTS)}")
    ann = store.read(IDENTITY).where("raw_id = 'ann'").first()["user_id"]
    assert [(row["user_id"], row["n_orders"]) for row in renewed.collect()] == [(ann, 2)]


def test_profiles_with_unprocessed_changes_are_all_computed_after_the_rotation(
    shop, tmp_path, caplog
):
    store, settings = shop
    write_clicks(tmp_path, "2", [click(50, "ann", "buy")])
    ingest_events.run(store, keyed_settings(tmp_path, OLD), now=NOW)
    rotate_pseudonyms.run(store, settings, now=NOW)
    assert "profile_refresh_state: not up to date" in caplog.text
    assert store.read(PROFILE_REFRESH_STATE).isEmpty()
    refresh_profiles.run(store, settings, now=NOW)
    orders = store.read(USER_PROFILES).join(store.read(IDENTITY), "user_id")
    assert {row["raw_id"]: row["n_orders"] for row in orders.collect()}["ann"] == 2


def test_the_history_of_profiles_gets_no_row_from_a_rotation(shop):
    store, settings = shop
    before = store.read(USER_PROFILES_HISTORY).count()
    rotate_pseudonyms.run(store, settings, vacuum=True, now=NOW)
    record_history(store, timedelta(days=9999), NOW)
    assert store.read(USER_PROFILES_HISTORY).count() == before == 4


def test_copies_with_earlier_pseudonyms_are_removed_or_reported(shop, tmp_path, caplog):
    store, settings = shop
    names = ("work/train_profiles", "work/tune_x")
    folders = [tmp_path / name for name in names]
    kept = [
        tmp_path / name
        for name in ("work/other", "checkpoint/arrivals", "checkpoint/changed_users")
    ]
    for folder in (*folders, *kept):
        folder.mkdir(parents=True)
    more = {"segments.export_folder": "exported"}
    rotate_pseudonyms.run(store, with_values(settings, more), now=NOW)
    assert [folder.exists() for folder in (*folders, *kept)] == [False] * 2 + [True] * 3
    assert "files in exported may hold earlier pseudonyms; run python jobs/segment" in caplog.text


def test_no_file_holds_an_earlier_pseudonym_after_a_vacuum(shop):
    store, settings = shop
    old = {row["user_id"] for row in store.read(IDENTITY).collect()}
    assert old <= strings_in_files(store)
    rotate_pseudonyms.run(store, settings, now=NOW)
    assert old <= strings_in_files(store)
    rotate_pseudonyms.run(store, settings, vacuum=True, now=NOW)
    assert strings_in_files(store).isdisjoint(old)


def strings_in_files(store: Store) -> set[str]:
    """Return the values of the column user_id in all Parquet files of all tables."""
    files = [f for root in (store.root, store.identity_root) for f in Path(root).rglob("*.parquet")]
    tables = [pq.read_table(f) for f in files if "_delta_log" not in f.parts]
    return {v for t in tables if "user_id" in t.column_names for v in t["user_id"].to_pylist()}
