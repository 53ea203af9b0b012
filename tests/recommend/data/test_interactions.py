"""Test the benchmark files of interactions and item attributes."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.recommend.data.histories import STEPS
from profile_lib.recommend.data.interactions import read_attribute_vectors, read_interactions


def write_lines(tmp_path, *lines):
    path = tmp_path / "sequences.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_line_is_a_user_with_items_oldest_first(spark, tmp_path):
    path = write_lines(tmp_path, "ann tee cap tee", "bob  cap")
    histories, item_ids = read_interactions(spark, path)
    assert item_ids.to_pylist() == ["cap", "tee"]
    expected = [
        ("ann", [1, 0, 1], [1.0] * 3, [0, 1, 2], [False] * 3),
        ("bob", [0], [1.0], [0], [False]),
    ]
    assertDataFrameEqual(histories, spark.createDataFrame(expected, f"user_id string, {STEPS}"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("ann",), "user 'ann' has no item"),
        (("ann tee", "ann cap"), "user ann has 2 lines; wanted one"),
    ],
)
def test_a_line_without_an_item_or_of_an_earlier_user_is_refused(spark, tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_interactions(spark, write_lines(tmp_path, *lines))


def test_a_missing_file_is_refused(spark, tmp_path):
    with pytest.raises(InputError, match="evaluate.interactions: no file at"):
        read_interactions(spark, str(tmp_path / "none"))
    with pytest.raises(InputError, match="evaluate.attributes: no file at"):
        read_attribute_vectors(str(tmp_path / "none"), pa.array(["cap"]))


def test_attributes_of_few_items_count_more(tmp_path):
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps({"tee": [1, 2], "cap": [1, 1], "pen": []}))
    item_ids = pa.array(["cap", "pen", "tee", "not in the file"])
    common, rare = np.log(2), np.log(4)
    length = np.hypot(common, rare)
    expected = np.array([[1, 0], [0, 0], [common / length, rare / length], [0, 0]])
    assert read_attribute_vectors(str(path), item_ids) == pytest.approx(expected)
