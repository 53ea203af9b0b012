"""Check that a mapping file is read, and that a wrong one is refused in one sentence."""

from pathlib import Path

import pytest

from profile_lib.errors import InputError
from profile_lib.events.mapping import check_paths, read_mapping
from tests.events.source_files import COLUMNS, write_mapping


def test_paths_and_inputs_must_have_the_same_names(tmp_path):
    with pytest.raises(InputError, match=r"wants events \(differs: events, orders\)"):
        check_paths(write_mapping(tmp_path), {"orders": "somewhere"})


def test_a_wrong_key_of_a_mapping_is_reported_with_its_path(tmp_path):
    with pytest.raises(InputError, match="shop.yaml: inputs.events.formats: no such key"):
        write_mapping(tmp_path, inputs={"events": {"format": "csv", "formats": "csv"}})


def test_an_unknown_format_is_reported_with_the_nearest_one_and_all_others(tmp_path):
    message = (
        "shop.yaml: inputs.events.format: found 'json', wanted one of csv, delta, jsonl, parquet; "
        "did you mean jsonl?"
    )
    with pytest.raises(InputError, match=message):
        write_mapping(tmp_path, inputs={"events": {"format": "json"}})


def test_a_missing_or_invalid_mapping_file_is_reported(tmp_path):
    with pytest.raises(InputError, match="no file .*nothing.yaml; see conf/sources"):
        read_mapping(str(tmp_path / "nothing.yaml"))
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(InputError, match="broken.yaml: not YAML"):
        read_mapping(str(tmp_path / "broken.yaml"))


def test_a_mapping_with_a_base_changes_only_its_own_keys(tmp_path):
    write_mapping(tmp_path)
    changed = tmp_path / "parquet.yaml"
    changed.write_text("base: shop.yaml\ninputs: {events: {format: parquet}}", "utf-8")
    mapping = read_mapping(str(changed))
    assert mapping.inputs["events"].format == "parquet"
    assert mapping.columns == COLUMNS


def test_a_mapping_whose_base_is_missing_or_itself_is_reported(tmp_path):
    (tmp_path / "a.yaml").write_text("base: nothing.yaml", "utf-8")
    with pytest.raises(InputError, match="no file .*nothing.yaml"):
        read_mapping(str(tmp_path / "a.yaml"))
    (tmp_path / "b.yaml").write_text("base: b.yaml", "utf-8")
    with pytest.raises(InputError, match=r"b.yaml: .*base: no such key"):
        read_mapping(str(tmp_path / "b.yaml"))


@pytest.mark.parametrize("file", sorted(Path("conf/sources").glob("*.yaml")), ids=str)
def test_each_shipped_mapping_file_is_valid(file):
    assert read_mapping(str(file)).columns["user_id"]
