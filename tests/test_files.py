"""Check that a file or folder is never seen half written."""

import errno

import pytest

from profile_lib.errors import InputError
from profile_lib.files import atomic_folder, explain_full_disk, write_text_atomically


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_written_text_replaces_the_previous_one_and_leaves_no_other_file(tmp_path):
    file = tmp_path / "made" / "state.json"
    for text in ("one", "zwölf"):
        write_text_atomically(file, text)
    assert file.read_text(encoding="utf-8") == "zwölf"
    assert names(file.parent) == {"state.json"}


def test_a_written_folder_replaces_the_previous_one_with_all_it_held(tmp_path):
    target = tmp_path / "models" / "shop"
    for name in ("first", "second"):
        with atomic_folder(target) as folder:
            (folder / name).touch()
    assert names(target) == {"second"}
    assert names(target.parent) == {"shop"}


def test_a_folder_stays_as_it_was_if_writing_it_again_fails(tmp_path):
    target = tmp_path / "shop"
    with atomic_folder(target) as folder:
        (folder / "first").touch()
    with pytest.raises(FileNotFoundError), atomic_folder(target) as folder:
        (folder / "missing" / "second").touch()
    assert names(target) == {"first"}
    assert names(tmp_path) == {"shop"}


def test_leftovers_of_an_interrupted_write_are_not_part_of_the_next_one(tmp_path):
    (tmp_path / "shop.writing").mkdir()
    (tmp_path / "shop.writing" / "stale").touch()
    with atomic_folder(tmp_path / "shop") as folder:
        (folder / "fresh").touch()
    assert names(tmp_path / "shop") == {"fresh"}


def test_a_full_disk_is_an_input_error_and_any_other_error_is_unchanged():
    message = "^/work: No space left on device; free some"
    with pytest.raises(InputError, match=message), explain_full_disk("/work"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), explain_full_disk("/work"):
        raise PermissionError(errno.EACCES, "denied")
