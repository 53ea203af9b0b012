"""A rewrite replaces rows without a trace in the change feed, and only once."""

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.errors import ConcurrentWriteError
from tests.worlds import NOTES


@pytest.fixture
def notes(store) -> Store:
    """A store with the note 1 of the user a."""
    add(store, ("a", 0, 1))
    return store


def add(store: Store, *rows: tuple) -> None:
    store.append(NOTES, store.spark.createDataFrame(list(rows), NOTES.schema))


def times_ten(store: Store) -> DataFrame:
    return store.read(NOTES).withColumn("n", F.col("n") * 10)


def numbers(store: Store) -> dict[str, int]:
    return {row["user_id"]: row["n"] for row in store.read(NOTES).collect()}


def test_a_rewrite_replaces_all_rows_and_the_change_feed_skips_it(notes):
    add(notes, ("b", 1, 2))
    version = notes.version(NOTES)
    notes.rewrite(NOTES, times_ten(notes), version, "tens", 1)
    assert numbers(notes) == {"a": 10, "b": 20}
    assert notes.version(NOTES) == version + 1
    assert notes.changes(NOTES, version).isEmpty()


def test_a_rewrite_with_a_number_that_was_committed_before_does_nothing(notes):
    for number in (1, 1, 2):
        notes.rewrite(NOTES, times_ten(notes), notes.version(NOTES), "tens", number)
    assert numbers(notes) == {"a": 100}


def test_a_rewrite_of_rows_read_before_another_write_is_refused(notes):
    version = notes.version(NOTES)
    add(notes, ("b", 0, 1))
    with pytest.raises(ConcurrentWriteError, match="another job wrote to the table; stop"):
        notes.rewrite(NOTES, times_ten(notes), version, "tens", 1)
    assert numbers(notes) == {"a": 1, "b": 1}
