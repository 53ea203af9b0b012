"""Run each shipped mapping on a sample of its source, and compare every row that it gives."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.events.formats.registry import FILE
from profile_lib.events.mapping import read_mapping
from profile_lib.events.readers import check_files, find_files, read_rows
from profile_lib.pipelines.event_source import Source, open_source
from profile_lib.pipelines.ingest_events import run
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.frames import union_all
from profile_lib.spark.session import session_conf
from profile_lib.tables import EVENTS, IDENTITY, USERS

CONF = Path(__file__).parents[2] / "conf"
SAMPLES = Path(__file__).parent / "samples"
SOURCES = sorted(file.stem for file in (CONF / "sources").glob("*.yaml"))
LATEST = datetime(2027, 1, 1, tzinfo=UTC)
ABSENT = {  # optional keys that no call of a sample has
    "posthog": ["properties.$geoip_time_zone", "properties.$referring_domain", "properties.rating"],
    "segment": [
        "context.app", "context.device", "context.location", "context.os",
        "context.page.referring_domain", "context.sessionId", "properties.rating",
        "properties.review_body", "properties.session_id",
    ],
}  # fmt: skip
NUMBERED_IDS = ("event_id", "session_hint", "order_id")  # keyed hashes, compared by their equality


def overrides(name: str) -> list[str]:
    """Return the settings that ingest a sample; inputs without a file of their own share one."""
    mapping = str(CONF / "sources" / f"{name}.yaml")
    folder = SAMPLES / name
    paths = {
        key: str(next(iter([*folder.glob(f"{key}.*"), *folder.glob("events.*")])))
        for key in read_mapping(mapping).inputs
    }
    values = {"mapping": mapping, "inputs": paths, "pseudonym_key": "k", "base_currency": "EUR"}
    return [f"ingest.{key}={json.dumps(value)}" for key, value in values.items()]


def judge_events(spark: SparkSession, settings: IngestSettings) -> DataFrame:
    source = open_source(spark, settings)
    lookups = source.read_lookups(spark)
    return union_all([*judge_inputs(spark, source, lookups)])


def judge_inputs(
    spark: SparkSession, source: Source, lookups: dict[str, DataFrame]
) -> Iterator[DataFrame]:
    for plan in source.event_plans:
        files = find_files(spark, plan, source.settings.inputs[plan.name])
        warnings = check_files(plan, files)
        missing = [line.partition(": no column ")[2].partition(";")[0] for line in warnings]
        assert sorted(missing) == ABSENT.get(source.mapping.name, [])
        yield source.judge_rows(read_rows(spark, plan, files), plan, lookups, LATEST)


def to_texts(rows: list[dict]) -> Iterator[dict[str, str]]:
    """Yield rows as texts; an id becomes the number of its first occurrence."""
    numbers: dict[str, dict[str, int]] = {name: {} for name in NUMBERED_IDS}
    for row in rows:
        for name, seen in numbers.items():
            if row[name] is not None:
                row[name] = seen.setdefault(row[name], len(seen) + 1)
        rules = [*row["reasons"], *row["issues"]]
        yield {name: "" if value is None else str(value) for name, value in row.items()} | {
            "user": row["raw_id"] or "",
            "rules": " ".join(rules),
        }


@pytest.mark.parametrize("name", SOURCES)
def test_a_shipped_mapping_gives_the_expected_rows_of_its_sample(spark, name):
    with (SAMPLES / name / "expected.csv").open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    settings = load_settings("dev", overrides(name)).ingest
    with session_conf(spark, LENIENT_CONF):
        judged = judge_events(spark, settings)
        ordered = judged.orderBy("event_ts", "sequence", "item_id", F.col(FILE))
        rows = list(to_texts([row.asDict() for row in ordered.collect()]))
    assert [{key: row[key] for key in expected[0]} for row in rows] == expected


def test_each_sample_is_named_with_its_origin():
    described = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in SOURCES if f"| `{name}` |" not in described] == []


@pytest.mark.slow
def test_identify_calls_of_segment_give_facts_about_the_users_of_the_other_calls(spark, tmp_path):
    store, settings = Store(spark, str(tmp_path)), load_settings("dev", overrides("segment"))
    run(store, settings, now=LATEST)
    users = store.read(USERS).join(store.read(IDENTITY), "user_id")
    facts = users.select("raw_id", "age_band", "gender", "region").orderBy("raw_id").collect()
    assert [tuple(row) for row in facts] == [
        ("anon-1", None, None, None),
        ("u-1", "25-34", "female", "Germany"),
    ]
    assert store.read(EVENTS).count() == 7  # without the call that arrived twice
