"""Test the content of a snapshot, how it is loaded, and which examples it refuses."""

import math
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.training.baselines.rows import read_baseline_rows
from profile_lib.training.data.numeric_statistics import compute_numeric_statistics
from profile_lib.training.data.petastorm_loader import PetastormLoader, check_folder, read_shard
from profile_lib.training.data.snapshot import load_snapshot, write_snapshot
from profile_lib.training.data.task_labels import LabelledTask

SCHEMA = (
    "user_id string, cutoff_ts timestamp, split string, token_ids array<int>, n_tokens int, "
    "numeric array<double>, buys int, next_category string, top_category string, "
    "sampling_weight double, liked array<string>, spend double, is_returning boolean"
)
TASKS = [
    LabelledTask("buys", "buys", "binary", 1.0),
    LabelledTask("next", "next_category", "multiclass", 0.5),
]
START = datetime(2026, 1, 1, tzinfo=UTC)


def example(
    i: int, split="train", ids=(2, 3), numeric=(1.0, 2.0), buys=0, following=None, top=None
):
    cutoff = START + timedelta(minutes=i)
    liked, spend = ["cap", "mug"][: i % 3], float(i % 5)
    return (
        f"u{i}", cutoff, split, list(ids), 2, list(numeric), buys, following, top, 1.0, liked,
        spend, i % 2 == 0,
    )  # fmt: skip


def write(frame, folder, tasks=TASKS, **changes):
    options = {"n_numeric": 2, "shards": 2, "rows_per_group": 50, "evaluation_rows": 1000}
    return write_snapshot(frame, str(folder), tasks, **options | changes)


@pytest.fixture(scope="module")
def snapshot(spark, tmp_path_factory):
    """A snapshot of 120 train rows, every tenth positive; test row 7 has an unseen class."""
    train = [
        example(i, buys=int(i % 10 == 0), following="red" if i % 3 else "blue", top="blue",
                numeric=(float(i % 4), math.nan if i % 2 else float(i)))
        for i in range(120)
    ]  # fmt: skip
    later = [
        example(1000 + i, split, following="unseen" if i == 7 else "blue")
        for split in ("validation", "test")
        for i in range(40)
    ]
    frame = spark.createDataFrame(train + later, SCHEMA)
    return write(frame, tmp_path_factory.mktemp("snapshot"))


def test_a_snapshot_describes_its_rows_and_classes_most_frequent_first(snapshot):
    assert snapshot.rows == {"train": 120, "validation": 40, "test": 40}
    assert [(t.name, t.classes) for t in snapshot.tasks] == [
        ("buys", ()), ("next", ("red", "blue"))
    ]  # fmt: skip
    assert load_snapshot(snapshot.folder) == snapshot
    assert (snapshot.positives, snapshot.max_tokens) == (12, 2)


def test_labels_are_codes_and_a_class_that_train_lacks_is_unknown(snapshot):
    train = read_baseline_rows(snapshot.split("train"), 1000)
    test = read_baseline_rows(snapshot.split("test"), 1000)
    assert np.bincount(train.labels[:, 1].astype(int)).tolist() == [80, 40]
    assert np.isnan(test.labels[:, 1]).sum() == 1
    assert (test.labels[:, 1] == 1).sum() == 39
    assert set(train.top_class) == {1}
    assert set(test.top_class) == {-1}
    assert np.isnan(train.numeric[:, 1]).sum() == 60


def test_petastorm_reads_every_row_once_in_an_order_that_depends_on_the_seed(snapshot):
    folder, orders = snapshot.split("train"), []
    for seed in range(5):
        shards = [
            np.concatenate([w["row_hash"] for w in read_shard(folder, s, 2, (seed,), 16, False)])
            for s in (0, 1)
        ]
        assert len(set(np.concatenate(shards).tolist())) == sum(map(len, shards)) == 120
        orders.append(tuple(shards[0].tolist()))
    assert len(set(orders)) > 1


def test_a_loader_counts_all_rows_it_reads_and_yields_a_share_of_the_negatives(snapshot):
    loader = PetastormLoader(
        snapshot.split("train"), 120, snapshot.files["train"], 2, 0, 1, 64, [0], 0,
        snapshot.positives,
    )  # fmt: skip
    batches = list(loader.batches(8, (1,), with_text=True, negative_downsampling_rate=0.5))
    assert loader.rows_read == 120
    assert loader.expected_rows(0.5) == 66
    assert sum(len(b["weight"]) for b in batches) < 90
    assert sum((b["labels"][:, 0] == 1).sum() for b in batches) == 12
    assert {b["token_ids"].shape[1] for b in batches} == {2}


def test_rows_that_are_positive_in_any_binary_task_are_all_kept(spark, tmp_path):
    rows = [example(i, buys=int(i % 10 == 0), following="red") for i in range(60)]
    later = [
        example(100 + i, split, buys=i % 2, following="blue")
        for split in ("validation", "test")
        for i in range(8)
    ]
    frame = spark.createDataFrame([*rows, *later], SCHEMA)
    often = LabelledTask(
        "often", "IF(size(liked) = 0, NULL, CAST(is_returning AS int))", "binary", 1
    )
    snapshot = write(frame, tmp_path, [TASKS[0], often])
    # A tenth buys; of the two thirds with a known label, every other row is positive.
    assert snapshot.positives == len(
        {i for i in range(60) if i % 10 == 0 or (i % 3 != 0 and i % 2 == 0)}
    )


def test_numeric_statistics_equal_those_of_numpy(spark, snapshot):
    counts, sparse = compute_numeric_statistics(
        spark.read.parquet(snapshot.split("train")), ["counts", "sparse"], 8
    )
    assert (counts.mean, counts.is_logged) == (1.5, False)
    assert counts.deviation == pytest.approx(np.std([0, 1, 2, 3]))
    assert counts.edges == (0.0, 1.0, 2.0, 3.0)
    assert sparse.mean == pytest.approx(np.mean(range(0, 120, 2)))
    assert (sparse.edges[0], sparse.edges[-1]) == (0.0, 118.0)


def test_a_heavy_tailed_feature_has_a_log_scale_and_an_unknown_one_no_edges(spark):
    frame = spark.createDataFrame(
        [([float(v), math.nan],) for v in (0, 0, 1, 1, 2, 1000)], "numeric array<double>"
    )
    heavy, unknown = compute_numeric_statistics(frame, ["heavy", "unknown"], 4)
    assert heavy.is_logged
    assert heavy.edges == tuple(math.log1p(v) for v in (0, 1, 2, 1000))
    assert heavy.mean == pytest.approx(np.log1p([0, 0, 1, 1, 2, 1000]).mean())
    assert unknown.edges == ()


def test_validation_and_test_keep_about_as_many_rows_as_the_limit(spark, tmp_path):
    rows = [example(i, buys=i % 2, following="ab"[i % 2]) for i in range(8)]
    rows += [example(100 + i, s) for s in ("validation", "test") for i in range(400)]
    snapshot = write(spark.createDataFrame(rows, SCHEMA), tmp_path, evaluation_rows=100)
    assert snapshot.rows["train"] == 8
    assert 60 < snapshot.rows["test"] < 140


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([example(0, buys=1), example(1)], "no rows in validation, test"),
        ([example(i, s) for i, s in enumerate(("train", "validation", "test"))],
         r"labels of buys \(buys\) in train: 1 × 0; wanted both 0 and 1"),
        ([example(0, buys=1), example(1), example(2, "validation"), example(3, "test")],
         r"labels of next \(next_category\) in train: none; wanted two classes"),
        ([example(0, ids=(2, 5, 3)), example(1, "validation"), example(2, "test")],
         "token_ids of 2 to 3 ids"),
        ([example(0, numeric=(1.0,)), example(1, "validation"), example(2, "test")],
         "numeric of 1 to 2 values; wanted one length, and 2 values"),
        ([example(0, buys=1), example(1), example(2, "validation"), example(3, "test", buys=2)],
         "1 × 0, 1 × 1, 0 × 2; a binary task's are 0 and 1"),
    ],
)  # fmt: skip
def test_examples_that_cannot_be_learned_from_are_refused_before_anything_is_written(
    spark, tmp_path, rows, message
):
    with pytest.raises(InputError, match=message):
        write(spark.createDataFrame(rows, SCHEMA), tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()


def test_fewer_row_groups_than_shards_are_refused(snapshot):
    with pytest.raises(InputError, match=r"4 row groups for 5 shards; .*lower training.shards"):
        check_folder(snapshot.split("train"), 5, snapshot.files["train"])


def test_a_folder_with_a_file_that_petastorm_would_unpickle_is_refused(tmp_path):
    Path(tmp_path / "_common_metadata").write_bytes(b"")
    with pytest.raises(InputError, match="holds _common_metadata, which Petastorm would unpickle"):
        check_folder(str(tmp_path), 1, {})


def test_a_file_that_was_changed_after_it_was_written_is_refused(snapshot, tmp_path):
    folder, files = str(tmp_path / "train"), snapshot.files["train"]
    shutil.copytree(snapshot.split("train"), folder)
    check_folder(folder, 2, files)
    changed = Path(folder) / sorted(files)[0]
    changed.write_bytes(changed.read_bytes())
    with pytest.raises(
        InputError, match=rf"1 files changed since they were written, {changed.name}"
    ):
        check_folder(folder, 2, files)
    changed.unlink()
    with pytest.raises(InputError, match="1 files changed since they were written"):
        check_folder(folder, 2, files)


def test_a_row_holds_labels_of_all_task_kinds_and_masked_ones_are_unknown(spark, tmp_path):
    rows = [example(i, buys=i % 2, following="ab"[i % 2]) for i in range(15)]
    rows += [example(102, "validation"), example(103, "test", following="c")]
    tasks = [
        LabelledTask("buys", "buys", "binary", 1.0, mask="n_tokens > 9 OR split = 'train'"),
        LabelledTask("likes", "liked", "multilabel", 1.0),
        LabelledTask("spend", "spend", "regression", 1.0),
        LabelledTask("next", "next_category", "multiclass", 1.0),
    ]
    snapshot = write(spark.createDataFrame(rows, SCHEMA), tmp_path, tasks)
    likes, spend = snapshot.tasks[1:3]
    assert likes.classes == ("cap", "mug")
    assert (spend.center, spend.scale) == (2.0, pytest.approx(np.sqrt(2)))
    assert sum(task.n_labels for task in snapshot.tasks) == 5
    # The test row, number 103, likes a cap and spends 3.
    (row,) = read_baseline_rows(snapshot.split("test"), 10).labels.tolist()
    assert np.isnan(row[0])
    assert np.isnan(row[4])
    assert row[1:4] == [1.0, 0.0, 3.0]


def test_a_regression_whose_labels_are_all_equal_is_refused(spark, tmp_path):
    rows = [example(5 * i, s) for i, s in enumerate(("train", "train", "validation", "test"))]
    spend = [LabelledTask("spend", "spend", "regression", 1.0)]
    with pytest.raises(
        InputError, match=r"labels of spend \(spend\) in train: mean 0.0, deviation 0"
    ):
        write(spark.createDataFrame(rows, SCHEMA), tmp_path / "snapshot", spend)


def test_a_snapshot_without_text_has_no_tokens(spark, tmp_path):
    rows = [example(i, buys=i % 2, following="ab"[i % 2]) for i in range(8)]
    rows += [example(102, "validation"), example(103, "test")]
    snapshot = write(
        spark.createDataFrame(rows, SCHEMA).drop("token_ids"), tmp_path,
        with_text=False, segments=("is_returning",),
    )  # fmt: skip
    assert snapshot.max_tokens == 0
    loader = PetastormLoader(
        snapshot.split("train"), 8, snapshot.files["train"], 2, 0, 1, 64, [0], 0
    )
    assert sum(len(b["numeric"]) for b in loader.batches(4, (1,), with_text=False)) == 8
    assert snapshot.categories == ()
    assert spark.read.parquet(f"{tmp_path}/test_users").columns == [
        "row_hash", "user_hash", "is_returning"
    ]  # fmt: skip


def test_codes_of_values_frequent_in_train_are_the_last_numeric_columns(spark, tmp_path):
    rows = [example(i, buys=i % 2, following="ab"[i % 2]) for i in range(60)]
    rows += [example(102, "validation"), example(103, "test")]
    device = F.when(F.col("user_id") == "u7", "toaster").when(F.rand(1) < 2, "phone")
    region = F.when(F.col("split") == "train", F.when(F.col("buys") == 1, "us").otherwise("ca"))
    frame = spark.createDataFrame(rows, SCHEMA).withColumns({"device": device, "region": region})
    snapshot = write(frame, tmp_path, categorical=("device", "region"))
    assert [(c.name, c.values) for c in snapshot.categories] == [
        ("device", ("phone",)), ("region", ("ca", "us"))
    ]  # fmt: skip
    train, test = (read_baseline_rows(snapshot.split(s), 100) for s in ("train", "test"))
    assert train.numeric.shape == (60, 4)
    assert (train.numeric[:, 3] == train.labels[:, 0]).all()
    assert np.isnan(train.numeric[:, 2]).sum() == 1  # one row has a toaster: too few
    assert np.isnan(test.numeric[:, 3]).all()
