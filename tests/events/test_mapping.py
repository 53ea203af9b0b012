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


def test_an_attribute_with_the_name_of_a_key_of_users_is_refused(tmp_path):
    users = {"input": "users", "user_id": "id", "attributes": {"kids": "kids", "gender": "sex"}}
    with pytest.raises(InputError) as error:
        write_mapping(tmp_path, users=users)
    assert str(error.value).endswith(
        "shop.yaml: users.attributes: found gender, wanted names other than those of the keys of "
        "users; move the expression to users.gender, or give the attribute another name"
    )


def test_a_missing_or_invalid_mapping_file_is_reported(tmp_path):
    with pytest.raises(InputError, match="no file .*nothing.yaml; see conf/sources"):
        read_mapping(str(tmp_path / "nothing.yaml"))
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(InputError, match="broken.yaml: not YAML"):
        read_mapping(str(tmp_path / "broken.yaml"))


REPEATED = {
    "name: a\nid_columns: [x]\nname: b\n": "name: found in line 1 and again in line 3",
    "inputs:\n  events: {format: csv}\n  'events': {format: jsonl}\n": (
        "inputs.events: found in line 2 and again in line 3"
    ),
    "lookups:\n  - {input: a, match: one, input: b}\n": (
        "lookups.0.input: found in line 2 and again in line 2"
    ),
}


@pytest.mark.parametrize("text", REPEATED)
def test_a_key_that_is_given_twice_is_refused_with_both_lines(tmp_path, text):
    sentence = f"{REPEATED[text]}, wanted each key once; remove or rename one of them"
    for name in ("shop.yaml", "base.yaml"):
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "app.yaml").write_text("base: base.yaml\nname: app", "utf-8")
    for opened, named in (("shop.yaml", "shop.yaml"), ("app.yaml", "base.yaml")):
        with pytest.raises(InputError) as error:
            read_mapping(str(tmp_path / opened))
        assert str(error.value) == f"{tmp_path}/{named}: {sentence}"


def test_a_merged_part_of_a_mapping_may_be_changed(tmp_path):
    write_mapping(tmp_path)
    changed = tmp_path / "app.yaml"
    changed.write_text(
        "base: shop.yaml\n"
        "inputs:\n  events: &csv {format: csv, encoding: latin-1}\n"
        "  users: {<<: *csv, encoding: utf-8}\n",
        "utf-8",
    )
    inputs = read_mapping(str(changed)).inputs
    assert [inputs[name].encoding for name in ("events", "users")] == ["iso8859-1", "utf-8"]


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


def refuse(folder: Path, **changes: object) -> str:
    """Return the error of a mapping with these changes, after the path of its file."""
    with pytest.raises(InputError) as error:
        write_mapping(folder, **changes)
    return str(error.value).removeprefix(f"{folder}/shop.yaml: ")


def csv_input(**dialect: object) -> dict:
    return {"inputs": {"events": {"format": "csv", "csv": dialect}}}


SIGN = "wanted one ASCII character that is no line break"
INVALID = [
    (csv_input(delimiter="||"), f"inputs.events.csv.delimiter: found '||', {SIGN}"),
    (csv_input(delimiter=""), f"inputs.events.csv.delimiter: found '', {SIGN}"),
    (csv_input(delimiter="§"), f"inputs.events.csv.delimiter: found '§', {SIGN}"),
    (csv_input(quote="\n"), f"inputs.events.csv.quote: found '\\n', {SIGN}"),
    (
        csv_input(delimiter='"'),
        "inputs.events.csv: found delimiter as quote or escape, wanted different characters",
    ),
    (
        csv_input(names=["a", "b"]),
        "inputs.events.csv: found names beside header: true, wanted header: false with names",
    ),
    (
        csv_input(header=False, names=["a", "a"]),
        "inputs.events.csv: found a name twice in names, wanted each once",
    ),
    *[
        (
            {"inputs": {"events": {"format": "csv", "encoding": name}}},
            f"inputs.events.encoding: found {name!r}, wanted an encoding that Python knows, such "
            "as utf-8, utf-16, latin-1, cp1252 or gb18030",
        )
        for name in ("utf-9", "hex", "rot13", "idna", "undefined", "")
    ],
    (
        {"event_types": {"buy": "pruchase"}},
        "event_types: buy: found 'pruchase', wanted one of search, view, click, favourite, cart, "
        "uncart, checkout, purchase, review, page, return, share; did you mean purchase?",
    ),
    (
        {"columns": COLUMNS | {"event_id": "id"}},
        "columns: event_id: wanted the id's expression under id_columns",
    ),
    ({"columns": {"user_id": "who"}}, "columns of events: missing event_ts, event_type"),
    (
        {"times": {"time_zone": "Europe/Berln"}},
        "times.time_zone: found 'Europe/Berln', wanted an IANA time zone; did you mean "
        "Europe/Berlin?",
    ),
    (
        {"times": {"unit": "s", "format": "yyyy"}},
        "times: found unit and format, wanted one of them",
    ),
    (
        {"lookups": [{"input": "people", "join_keys": ["who"], "columns": ["region"]}]},
        "lookups[0].input: no input 'people'; wanted one of events",
    ),
    (
        {"event_inputs": {"clicks": {}}},
        "event_inputs.clicks: no input 'clicks'; wanted one of events",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), INVALID, ids=lambda x: str(x)[:40])
def test_each_mistake_of_a_mapping_is_named_with_what_was_wanted(tmp_path, changes, sentence):
    assert refuse(tmp_path, **changes) == sentence


def test_all_mistakes_are_named_at_once_with_the_nearest_names(tmp_path):
    sentence = refuse(
        tmp_path,
        columns=COLUMNS | {"sesion_hint": "sid"},
        event_types={"view": "view", "buy": "pruchase"},
    )
    first, second = sentence.split("; event_types: ")
    assert first.startswith(
        "columns: no column 'sesion_hint' in the contract; wanted one of user_id"
    )
    assert first.endswith("did you mean session_hint?")
    assert second.startswith("buy: found 'pruchase', wanted one of search, view")
    assert second.endswith("did you mean purchase?")


def test_event_inputs_change_single_columns_of_an_input(tmp_path):
    mapping = write_mapping(
        tmp_path,
        inputs={"clicks": {"format": "csv"}, "orders": {"format": "csv"}},
        event_inputs={"clicks": {}, "orders": {"event_type": "'BUY'"}},
    )
    assert mapping.event_columns == {"clicks": COLUMNS, "orders": COLUMNS | {"event_type": "'BUY'"}}


def test_sources_of_one_id_space_share_it_and_others_have_their_own(tmp_path):
    assert write_mapping(tmp_path, name="web").user_space == "web"
    assert write_mapping(tmp_path, name="app", id_space="accounts").user_space == "accounts"
