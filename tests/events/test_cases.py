"""Judge small inputs that failed or surprised, and compare every row or the one error."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.settings import load_settings
from profile_lib.errors import InputError
from profile_lib.events.mapping import read_mapping
from profile_lib.events.readers import read_input
from profile_lib.features.keywords import split_words
from profile_lib.pipelines.event_source import find_latest_time, open_source
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from profile_lib.texts.normalisation import normalise
from tests.worlds import NOW

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/expected.yaml"))
IDS = {"event_id": "event", "order_id": "order", "session_hint": "session"}
COMPARED = (
    "event_ts", "event_type", "item_id", "query", "text", "language", "rating", "price", "quantity",
    "channel", "region", "title",
)  # fmt: skip


def judge(spark: SparkSession, case: Path) -> DataFrame:
    """Judge all rows of a case."""
    raw = case / "raw"
    mapping = read_mapping(str(case / "mapping.yaml"))
    paths = {name: str(next(iter(raw.glob(f"{name}.*")), raw)) for name in mapping.inputs}
    values = {"mapping": str(case / "mapping.yaml"), "inputs": paths, "pseudonym_key": "k"}
    overrides = [f"ingest.{key}={json.dumps(value)}" for key, value in values.items()]
    settings = load_settings("dev", overrides).ingest
    source = open_source(spark, settings)
    (plan,) = source.event_plans
    rows = read_input(spark, plan, paths["events"])
    latest = find_latest_time(settings, None, NOW)
    return source.judge_rows(rows, plan, source.read_lookups(spark), latest)


def describe(rows: list[dict]) -> list[dict]:
    """Return the columns of rows that are not null, with the ids as numbers."""
    numbers: dict[str, dict[str, int]] = {name: {} for name in IDS}
    described = []
    for row in rows:
        found = {"user": row["raw_id"]} | {name: row[name] for name in COMPARED}
        found["event_ts"] = str(row["event_ts"])
        for name, seen in numbers.items():
            if row[name] is not None:
                found[IDS[name]] = seen.setdefault(row[name], len(seen) + 1)
        if row["status"] != "kept":
            found |= {"status": row["status"], "reasons": row["reasons"]}
        found["issues"] = row["issues"] or None
        described.append({name: value for name, value in found.items() if value is not None})
    return described


def check_rows(rows: list[dict], expected: list[dict]) -> None:
    """Compare rows; a number of events is compared only where it is expected."""
    found = describe(rows)
    for row, wanted in zip(found, expected, strict=True):
        if "event" not in wanted:
            del row["event"]
        assert row == wanted


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_case_gives_its_right_answer(spark, case):
    expected = yaml.safe_load((case / "expected.yaml").read_text(encoding="utf-8"))
    with session_conf(spark, LENIENT_CONF):
        if "error" in expected:
            with pytest.raises(InputError) as error:
                judge(spark, case)
            assert str(error.value) == expected["error"].format(raw=case / "raw", case=case)
            return
        ordered = judge(spark, case).orderBy("event_ts", "sequence", "item_id", F.col("raw_id"))
        rows = [row.asDict() for row in ordered.collect()]
    if "counts" in expected:
        assert Counter(row["status"] for row in rows) == expected["counts"]
    elif "titles" in expected:
        titles = [normalise(row["title"]) for row in rows]
        words = [[word.form for word in split_words(title)] for title in titles]
        found = [{"title": t, "words": w} for t, w in zip(titles, words, strict=True)]
        assert found == expected["titles"]
    else:
        check_rows(rows, expected["rows"])
