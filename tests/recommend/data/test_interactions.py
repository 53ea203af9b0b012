"""Files of a benchmark are histories, and attributes are vectors."""

import json

import numpy as np
import pyarrow as pa
import pytest

from profile_lib.errors import InputError
from profile_lib.recommend.data.interactions import read_attribute_vectors, read_interactions


def written(tmp_path, *lines):
    path = tmp_path / "sequences.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_line_is_a_user_with_items_oldest_first(spark, tmp_path):
    steps, ids = read_interactions(spark, written(tmp_path, "ann tee cap tee", "bob  cap"))
    rows = {row["user_id"]: row for row in steps.collect()}
    met = {user: [ids[item].as_py() for item in row["items"]] for user, row in rows.items()}
    assert met == {"ann": ["tee", "cap", "tee"], "bob": ["cap"]}
    assert rows["ann"]["seconds"] == [0, 1, 2]
    assert rows["ann"]["weights"] == [1.0] * 3


@pytest.mark.parametrize(
    ("lines", "told"),
    [(("ann",), "user 'ann' has no item"), (("ann tee", "ann cap"), "user ann has 2 lines")],
)
def test_a_file_that_is_no_benchmark_is_told(spark, tmp_path, lines, told):
    with pytest.raises(InputError, match=told):
        read_interactions(spark, written(tmp_path, *lines))
    with pytest.raises(InputError, match="nothing at"):
        read_interactions(spark, str(tmp_path / "none"))


def test_what_few_items_have_says_more(tmp_path):
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps({"tee": [1, 2], "cap": [1, 1], "pen": []}))
    ids = pa.array(["cap", "pen", "tee", "untold"])
    common, rare = np.log(2), np.log(4)
    expected = np.array([[common, 0], [0, 0], [common, rare], [0, 0]])
    expected[2] /= np.hypot(common, rare)
    expected[0] /= common
    assert read_attribute_vectors(str(path), ids) == pytest.approx(expected)
    with pytest.raises(InputError, match="evaluate.attributes: nothing at"):
        read_attribute_vectors(str(tmp_path / "none"), ids)
