"""Settings files and mappings are found wherever the process was started."""

import pytest

from profile_lib.config.files import shipped_conf
from profile_lib.config.settings import load_settings
from profile_lib.errors import InputError

SOURCES = shipped_conf() / "sources"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "conf/demo.yaml"])
def test_a_shipped_file_is_found_from_any_folder(elsewhere, name):
    assert load_settings(name).paths.tables == "data/demo/tables"


def test_a_file_in_the_working_directory_comes_before_a_shipped_one(elsewhere):
    (elsewhere / "conf").mkdir()
    for file in ("demo.yaml", "conf/demo.yaml"):
        (elsewhere / file).write_text("base: base\npaths: {tables: mine}")
    assert load_settings("demo").paths.tables == "mine"
    assert load_settings("conf/demo.yaml").paths.tables == "mine"


@pytest.mark.parametrize("base", ["shop", "shop.yaml"])
def test_a_base_is_found_beside_the_file_that_names_it(elsewhere, base):
    folder = elsewhere / "settings"
    folder.mkdir()
    (folder / "shop.yaml").write_text("base: base\npaths: {tables: mine}")
    (folder / "small.yaml").write_text(f"base: {base}\nsimulate: {{n_users: 5}}")
    settings = load_settings("settings/small.yaml")
    assert (settings.paths.tables, settings.simulate.n_users) == ("mine", 5)


def test_the_base_of_a_file_may_be_the_shipped_file_of_the_same_name(elsewhere):
    (elsewhere / "demo.yaml").write_text("base: demo\nsimulate: {n_users: 5}")
    settings = load_settings("demo.yaml")
    assert (settings.paths.tables, settings.simulate.n_users) == ("data/demo/tables", 5)


@pytest.mark.parametrize("mapping", ["ga", "conf/sources/ga.yaml", "sources/ga.yaml"])
def test_a_shipped_mapping_is_found_from_any_folder(elsewhere, mapping):
    settings = load_settings("demo", [f"ingest.mapping={mapping}"])
    assert settings.ingest.mapping == str(SOURCES / "ga.yaml")


def test_a_mapping_is_found_beside_the_file_that_names_it(elsewhere):
    folder = elsewhere / "settings"
    folder.mkdir()
    (folder / "mine.yaml").write_text("name: mine")
    (folder / "shop.yaml").write_text("base: base\ningest: {mapping: mine.yaml}")
    assert load_settings("settings/shop.yaml").ingest.mapping == "settings/mine.yaml"


def test_the_name_of_a_missing_mapping_is_left_unchanged(elsewhere):
    assert load_settings("demo", ["ingest.mapping=nothing.yaml"]).ingest.mapping == "nothing.yaml"


def test_a_missing_file_is_reported_with_the_names_of_the_shipped_ones():
    with pytest.raises(InputError, match="conf/nothing.yaml: no such settings file; .* demo, dev"):
        load_settings("conf/nothing.yaml")


def test_a_missing_base_is_reported_with_the_file_that_names_it(tmp_path):
    (tmp_path / "x.yaml").write_text("base: nothing")
    with pytest.raises(InputError, match="x.yaml: base: no settings file nothing; wanted"):
        load_settings(str(tmp_path / "x.yaml"))


def test_files_that_are_each_others_base_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b.yaml")
    (tmp_path / "b.yaml").write_text("base: a.yaml")
    with pytest.raises(InputError, match="a settings file is its own base: .*a.yaml → .*b.yaml →"):
        load_settings(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not YAML"),
        ("- a", "wanted sections of keys, found list"),
        ("paths: {tables: a, tables: b}", "paths.tables: found in line 1 and again in line 1"),
    ],
)
def test_a_file_without_settings_is_refused(tmp_path, content, message):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        load_settings(str(tmp_path / "x.yaml"))
