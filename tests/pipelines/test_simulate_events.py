"""Check the raw files of the simulated shop against their truth."""

import pytest

from profile_lib.config.settings import load_settings
from profile_lib.errors import InputError
from profile_lib.pipelines.simulate_events import run


def simulate_settings(folder, *overrides):
    return load_settings(
        "conf/dev.yaml",
        [
            f"simulate.events_path={folder}/raw/events",
            f"simulate.truth_path={folder}/raw/truth",
            "simulate.n_users=60",
            "simulate.dirt_share=0.2",
            "simulate.bots_share=0.05",
            *overrides,
        ],
    )


def test_the_truth_counts_the_rows_of_the_raw_files_by_fault(spark, store, tmp_path):
    run(store, simulate_settings(tmp_path))
    files = sorted(path.name for path in (tmp_path / "raw" / "events").glob("part-*"))
    assert files
    assert all(name.endswith(".json.gz") for name in files)
    events = spark.read.json(f"{tmp_path}/raw/events").toPandas()
    truth = spark.read.parquet(f"{tmp_path}/raw/truth/dirt").toPandas()
    counts = dict(zip(truth.kind, truth.n_rows, strict=True))
    assert sum(counts.values()) == len(events)
    assert counts["null_user"] == events.uid.isna().sum() > 0
    assert counts["word_for_price"] == (events.price == "on request").sum() > 0
    assert counts["duplicate"] == 2 * events.event_id.duplicated().sum() > 0
    users = spark.read.json(f"{tmp_path}/raw/users")
    assert 15 < users.count() < 45
    assert sorted(users.columns) == ["age_band", "gender", "region", "uid"]


def test_parquet_files_hold_all_columns_as_strings(spark, store, tmp_path):
    run(store, simulate_settings(tmp_path, "simulate.format=parquet", "simulate.n_users=5"))
    events = spark.read.parquet(f"{tmp_path}/raw/events")
    assert {column_type for _, column_type in events.dtypes} == {"string"}
    assert {"event_id", "uid", "time", "received", "action", "item"} <= set(events.columns)


def test_a_shop_with_fewer_items_than_categories_is_refused(store, tmp_path):
    with pytest.raises(InputError, match=r"simulate\.n_items: 11; wanted 12 or more"):
        run(store, simulate_settings(tmp_path, "simulate.n_items=11"))
    assert not (tmp_path / "raw").exists()
