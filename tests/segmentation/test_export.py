"""Check that an exported file holds pseudonyms alone, and is replaced as a whole."""

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from profile_lib.segmentation.export import write_pseudonyms


def test_a_file_holds_pseudonyms_and_nothing_else(rows, tmp_path):
    file = tmp_path / "audiences" / "best.csv"
    users = rows("user_id string, score double", ("a1", 0.5), ("b2", 0.25)).repartition(2)
    write_pseudonyms(users, str(file))
    assert sorted(file.read_text().split()) == ["a1", "b2", "user_id"]
    write_pseudonyms(users.limit(0), str(file))
    assert file.read_text() == "user_id\n"
    assert [p.name for p in file.parent.iterdir() if not p.name.startswith(".")] == ["best.csv"]


def test_a_failed_export_leaves_the_old_file(rows, tmp_path):
    file = tmp_path / "best.csv"
    users = rows("user_id string", ("a1",))
    write_pseudonyms(users, str(file))
    with pytest.raises(PySparkException):
        write_pseudonyms(users.where(F.raise_error(F.lit("lost")).isNull()), str(file))
    assert file.read_text() == "user_id\na1\n"
