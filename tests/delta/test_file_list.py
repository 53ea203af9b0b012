"""The files of a table are listed from its log, with exact sizes and partition values."""

from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from pyspark.sql import functions as F

from profile_lib.delta.compaction import FileLayout, partition_condition, partition_layouts
from profile_lib.delta.file_list import list_live_files
from profile_lib.delta.store import Store
from profile_lib.tables import IDENTITY, Table
from profile_lib.tables.table import LONG, STRING, optional, required

NAMES = ["it's", "50 %/ü=a\\b", None]
LABELS = Table(
    "labels",
    "A label per user",
    key=("user_id",),
    rebuild_instructions="write them again",
    partition_by=("label",),
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        optional("label", STRING, "partition of the user's row"),
        required("n", LONG, "a number"),
    ),
)


def set_property(store: Store, name: str, value: str) -> None:
    path = store.path(LABELS)
    store.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.{name}' = '{value}')")


def listed_files(store: Store) -> Counter:
    return Counter((row["label"], row["bytes"]) for row in store.files(LABELS).collect())


def stored_files(store: Store) -> Counter:
    """Return the partition and the size on disk of each file that has a row."""
    rows = store.read(LABELS).select("label", F.input_file_name()).distinct().collect()
    sizes = ((label, Path(unquote(urlparse(uri).path)).stat().st_size) for label, uri in rows)
    return Counter(sizes)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", ["none", "classic", "v2"])
def test_files_are_those_of_the_latest_version_after_every_kind_of_write(store, rows, checkpoints):
    users = [(f"{label}{n}", label, n) for label in NAMES for n in range(20)]
    store.replace(LABELS, rows(LABELS.schema, *users))
    if checkpoints != "none":
        set_property(store, "checkpointPolicy", checkpoints)
        set_property(store, "checkpointInterval", "4")
    store.append(LABELS, rows(LABELS.schema, ("new", "it's", 1)))
    store.upsert(LABELS, rows(LABELS.schema, ("it's1", "it's", 9)))  # marks a row as deleted
    store.append(LABELS, rows(LABELS.schema, ("another", None, 1), ("last", None, 1)))
    store.replace(LABELS, rows(LABELS.schema, ("b", NAMES[1], 1)), where="label LIKE '50%'")
    by_label = Counter(row["label"] for row in store.files(LABELS).collect())
    assert by_label == {"it's": 3, NAMES[1]: 1, None: 2}
    assert listed_files(store) == stored_files(store)
    found = list_live_files(store.spark, store.path(LABELS), store.version(LABELS))
    assert (found is None) == (checkpoints == "v2")  # these are found by reading the table

    layouts = {
        layout.partition: layout for layout in partition_layouts(LABELS, store.files(LABELS))
    }
    for label, n_rows in (("it's", 21), (NAMES[1], 1), (None, 22)):
        condition = partition_condition(LABELS, [layouts[label]])
        assert store.read(LABELS).where(condition).count() == n_rows
    assert store.read(LABELS).where(partition_condition(LABELS, [*layouts.values()])).count() == 44
    store.compact(LABELS, 2**20, partition_condition(LABELS, [layouts["it's"], layouts[None]]))
    assert Counter(label for label, _ in listed_files(store)) == {"it's": 1, NAMES[1]: 1, None: 1}
    assert listed_files(store) == stored_files(store)


def test_the_files_of_a_table_without_partitions_form_one_layout(store, rows):
    store.replace(IDENTITY, rows(IDENTITY.schema, ("a", "1", "s"), ("b", "2", "s")).coalesce(1))
    (file,) = Path(store.path(IDENTITY)).glob("*.parquet")
    size = file.stat().st_size
    layouts = partition_layouts(IDENTITY, store.files(IDENTITY))
    assert layouts == [FileLayout(None, 1, size, size, size)]
