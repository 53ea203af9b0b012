"""Ingestion counts each event once for the report, and the report is written after each run."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import ingest_batch, ingest_events, report_quality
from profile_lib.tables import DAILY_VALUE_COUNTS, DATA_QUALITY, EVENTS, REJECTED_EVENTS
from tests.quality_world import read_metrics
from tests.worlds import NOW

MONDAYS = [date(2025, 12, 22), date(2025, 12, 29), date(2026, 1, 5), date(2026, 1, 12)]
LAST_MONDAY = date(2026, 1, 19)
MAPPING = {
    "name": "shop",
    "inputs": {"events": {"format": "jsonl"}},
    "id_columns": ["id"],
    "columns": {
        "user_id": "user", "event_ts": "time", "event_type": "what", "item_id": "item",
        "price": "price", "category": "category",
    },
    "event_types": {"look": "view", "buy": "purchase"},
}  # fmt: skip


def event(day: date, number: int, **changes: object) -> dict:
    """Return a raw event; of three, two are of shirts and one is of cups."""
    item = ("tee", "tee", "mug")[number % 3]
    values = {
        "id": f"{day} {number}", "user": f"u{number % 5}", "what": "look", "item": item,
        "time": f"{day} 10:{number % 60:02}:00", "price": 12.5,
        "category": "cups" if item == "mug" else "shirts",
    }  # fmt: skip
    return values | changes


def write_events(folder: Path, name: str, events: list[dict]) -> None:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    (raw / f"{name}.json").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")


def shop_settings(folder: Path, *changes: str) -> Settings:
    (folder / "shop.yaml").write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    inputs = json.dumps({"events": str(folder / "raw")})
    return load_settings(
        "dev",
        [
            f"ingest.mapping={folder / 'shop.yaml'}", f"ingest.inputs={inputs}",
            f"quality.report={folder / 'out' / 'report.html'}",
            f"quality.metrics={folder / 'out' / 'shop.prom'}", "quality.min_rows=30", *changes,
        ],
    )  # fmt: skip


def read_metric(folder: Path, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by the values of its labels."""
    return read_metrics((folder / "out" / "shop.prom").read_text("utf-8"))[f"clickstream_{name}"]


def logged(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    """Return the messages of the report at a level."""
    records = [r for r in caplog.records if r.name == report_quality.__name__]
    return [record.getMessage() for record in records if record.levelname == level]


def read_counts(store: Store) -> list[tuple]:
    return sorted(map(tuple, store.read(DAILY_VALUE_COUNTS).collect()))


def assert_each_event_is_counted_once(store: Store) -> None:
    """The counts of each field add up to the stored events of each day."""
    by_field = store.read(DAILY_VALUE_COUNTS).groupBy("day", "field").agg(F.sum("n_rows"))
    counted = {(row["day"], row["field"]): row[2] for row in by_field.collect()}
    stored = store.read(EVENTS).groupBy("event_date").count().collect()
    fields = ("category", "event_type", "language", "price_band")
    assert counted == {(day, field): n for day, n in stored for field in fields}


@pytest.fixture(scope="module")
def four_mondays(spark, tmp_path_factory) -> Path:
    """A folder with the tables of four Mondays, each with twenty shirts and ten cups."""
    folder = tmp_path_factory.mktemp("mondays")
    events = [event(day, number) for day in MONDAYS for number in range(30)]
    write_events(folder, "december", events)
    settings = shop_settings(folder)
    ingest_events.run(Store(spark, str(folder / "tables")), settings, now=NOW)
    return folder


@pytest.fixture
def shop(four_mondays, spark, tmp_path) -> tuple[Store, Settings]:
    """A copy of the shop that a test may change; its files count as ingested."""
    shutil.copytree(four_mondays / "tables", tmp_path / "tables")
    return Store(spark, str(tmp_path / "tables")), shop_settings(tmp_path)


def test_each_event_is_counted_once_in_each_field(four_mondays, spark):
    store = Store(spark, str(four_mondays / "tables"))
    assert_each_event_is_counted_once(store)
    counts = {
        (row["field"], row["value"]): row["n_rows"]
        for row in store.read(DAILY_VALUE_COUNTS).where(F.col("day") == MONDAYS[0]).collect()
    }
    assert counts == {
        ("event_type", "view"): 30, ("price_band", "8 to 16"): 30, ("language", "(missing)"): 30,
        ("category", "shirts"): 20, ("category", "cups"): 10,
    }  # fmt: skip


def test_ingestion_writes_the_page_and_the_metrics(four_mondays):
    assert "<h1>Data quality</h1>" in (four_mondays / "out" / "report.html").read_text("utf-8")
    assert read_metric(four_mondays, "rows_read") == {("shop",): 120}
    assert read_metric(four_mondays, "rows")[("shop", "kept")] == 120
    assert read_metric(four_mondays, "files") == {("shop", "read"): 1}
    psi = read_metric(four_mondays, "drift_psi")
    fields = ("category", "event_type", "language", "price_band")
    assert psi == {("shop", field): 0.0 for field in fields}


def test_a_category_that_vanishes_is_an_alarm_and_stable_fields_are_not(shop, tmp_path, caplog):
    store, settings = shop
    write_events(tmp_path, "january", [event(LAST_MONDAY, 3 * n) for n in range(40)])
    ingest_events.run(store, settings, now=NOW)
    psi = read_metric(tmp_path, "drift_psi")
    # (1 - 2/3) ln(3/2) + (1/3 - 0.0001) ln(10,000 / 3)
    assert psi.pop(("shop", "category")) == pytest.approx(2.838253, abs=1e-6)
    assert set(psi.values()) == {0.0}
    assert logged(caplog, "WARNING") == [
        "alarm: shop on 2026-01-19: category drifted, PSI 2.84: cups 33.3% → 0.0%, "
        "shirts 66.7% → 100.0%"
    ]
    assert '<b class="alarm">alarm</b>' in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_day_is_compared_when_it_is_over(shop, tmp_path):
    store, settings = shop
    limits = settings.ingest

    def compared_days(today: date) -> set[date]:
        (source,) = report_quality.build_quality_report(
            store, settings.quality, limits, today
        ).sources
        return {drift.day for drift in source.drifts}

    assert MONDAYS[-1] not in compared_days(MONDAYS[-1])
    assert MONDAYS[-1] in compared_days(MONDAYS[-1] + timedelta(days=1))


@pytest.mark.trial
def test_a_stable_monday_is_no_problem(shop, tmp_path, caplog):
    store, settings = shop
    write_events(tmp_path, "january", [event(LAST_MONDAY, n) for n in range(45)])
    ingest_events.run(store, settings, now=NOW)
    assert set(read_metric(tmp_path, "drift_psi").values()) == {0.0}
    assert logged(caplog, "WARNING") == []


@pytest.mark.slow
def test_a_batch_that_failed_before_its_events_were_written_is_counted_once(
    shop, tmp_path, monkeypatch
):
    store, settings = shop
    write_events(tmp_path, "january", [event(LAST_MONDAY, n) for n in range(6)])

    def fail(*_):
        raise ConnectionError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(ingest_batch._Batch, "_write_events", fail)
        with pytest.raises(ConnectionError):
            ingest_events.run(store, settings, now=NOW)
    counts = read_counts(store)
    assert store.read(EVENTS).count() == 120
    ingest_events.run(store, settings, now=NOW)
    assert read_counts(store) == counts
    assert store.read(EVENTS).count() == 126
    assert_each_event_is_counted_once(store)


@pytest.mark.trial
def test_stored_events_that_turn_out_to_be_of_a_robot_are_taken_off(shop, tmp_path):
    store, _ = shop
    limits = ("ingest.max_events_per_minute=10", "ingest.max_rejected_share=1")
    settings = shop_settings(tmp_path, *limits)
    for name, numbers in (("first", range(8)), ("second", range(8, 16))):
        same_minute = {"user": "robot", "time": f"{LAST_MONDAY} 10:00:30"}
        burst = [event(LAST_MONDAY, n, **same_minute) for n in numbers]
        write_events(tmp_path, name, [*burst, event(LAST_MONDAY, 100 + len(name))])
        ingest_events.run(store, settings, now=NOW)
    assert store.read(EVENTS).where(F.col("event_date") == LAST_MONDAY).count() == 2
    assert_each_event_is_counted_once(store)


def test_a_batch_with_too_many_rejected_rows_is_in_the_report(shop, tmp_path):
    store, settings = shop
    nobody = [event(LAST_MONDAY, n, user=None) for n in range(4)]
    write_events(tmp_path, "january", [*nobody, *(event(LAST_MONDAY, n) for n in range(6))])
    with pytest.raises(InputError, match="40.0% of 10 rows rejected"):
        ingest_events.run(store, settings, now=NOW)
    assert read_metric(tmp_path, "rule_rows")[("shop", "missing", "user_id")] == 4
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "rejected, without robots and placeholders" in page
    assert read_counts(store)[-1][2] == MONDAYS[-1]  # no event was added, and none is counted
    assert read_metric(tmp_path, "rows")[("shop", "refused")] == 6
    assert read_metric(tmp_path, "rows")[("shop", "kept")] == 120  # of the batch before


@pytest.mark.slow
def test_a_refused_batch_leaves_no_trace_once_its_mapping_is_fixed(shop, tmp_path):
    store, settings = shop
    late = [event(LAST_MONDAY, n, what=what) for n, what in enumerate(["look"] * 6 + ["?"] * 4)]
    write_events(tmp_path, "january", [*late, event(LAST_MONDAY, 10, price="free")])
    for _ in range(2):  # refused once more, it is counted once
        with pytest.raises(InputError, match="36.4% of 11 rows rejected"):
            ingest_events.run(store, settings, now=NOW)
    assert store.read(REJECTED_EVENTS).count() == 4
    words = {**MAPPING["event_types"], "?": "share"}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(MAPPING | {"event_types": words}))
    ingest_events.run(store, settings, now=NOW)
    counts = store.read(DATA_QUALITY).where("n_rows > 0").groupBy("rule").agg(F.sum("n_rows"))
    assert dict(map(tuple, counts.collect())) == {
        "read": 120 + 11, "kept": 120 + 11, "not_a_number": 1,
    }  # fmt: skip
    assert store.read(REJECTED_EVENTS).count() == 0
    assert store.read(EVENTS).count() == 131


def test_nothing_is_written_if_the_settings_want_nothing(shop, tmp_path):
    store, _ = shop
    settings = shop_settings(tmp_path, "quality.report=null", "quality.metrics=null")
    assert report_quality.write_quality_report(store, settings, NOW.date()) is None
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="quality.report and quality.metrics: both null"):
        report_quality.run(store, settings, now=NOW)


def test_one_of_the_files_may_be_left_out(shop, tmp_path):
    store, _ = shop
    report_quality.run(store, shop_settings(tmp_path, "quality.report=null"), now=NOW)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shop.prom"]


def test_the_job_needs_an_ingested_batch(store, tmp_path):
    with pytest.raises(InputError, match=r"data_quality: no rows at .*; run jobs/ingest_events.py"):
        report_quality.run(store, shop_settings(tmp_path), now=NOW)


def test_rows_without_a_status_end_the_job_with_an_error_after_the_report(shop, tmp_path, caplog):
    store, settings = shop
    day = date(2026, 1, 19)
    rows = [("shop", day, "b2", "read", "", 100, 1.0, None),
            ("shop", day, "b2", "kept", "", 97, 0.97, None)]  # fmt: skip
    store.append(DATA_QUALITY, store.spark.createDataFrame(rows, DATA_QUALITY.schema))
    message = (
        "data_quality: 1 days do not add up, the latest shop on 2026-01-19: 100 rows read, but 97 "
        "have a status"
    )
    with pytest.raises(InputError, match=message):
        report_quality.run(store, settings, now=NOW)
    assert read_metric(tmp_path, "rows_unaccounted") == {("shop",): 3}
    assert "3 rows without a status" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert logged(caplog, "ERROR") == ["shop on 2026-01-19: 100 rows read, but 97 have a status"]


def test_days_before_the_report_are_left_out(shop, tmp_path):
    store, _ = shop
    settings = shop_settings(tmp_path, "quality.days=14").quality
    limits = shop_settings(tmp_path).ingest
    report = report_quality.build_quality_report(store, settings, limits, NOW.date())
    (source,) = report.sources
    assert {d.day for d in source.drifts} == {date(2026, 1, 5), date(2026, 1, 12)}
    assert {d.n_weeks for d in source.drifts} == {2, 3}


def test_a_path_that_cannot_be_written_is_named_with_its_setting(shop, tmp_path):
    store, _ = shop
    (tmp_path / "file").write_text("not a folder")
    settings = shop_settings(tmp_path, f"quality.metrics={tmp_path / 'file' / 'shop.prom'}")
    with pytest.raises(InputError, match=r"quality.metrics: .*shop.prom cannot be written"):
        report_quality.write_quality_report(store, settings, NOW.date())
