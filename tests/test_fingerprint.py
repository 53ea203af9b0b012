"""Check that fingerprints depend on content, not on how it is written."""

import hashlib
from datetime import timedelta

from profile_lib.fingerprint import hash_file, hash_folder, hash_json, hash_text


def test_a_text_is_hashed_by_sha256_and_cut_to_the_requested_digits():
    assert hash_text("käse") == hashlib.sha256("käse".encode()).hexdigest()
    assert hash_text("käse", 12) == hash_text("käse")[:12]


def test_the_hash_of_json_depends_on_its_values_but_not_on_the_order_of_keys():
    value = {"gap": timedelta(minutes=30), "names": ["a", "b"]}
    assert hash_json(value) == hash_json(dict(reversed(value.items())))
    assert hash_json(value) != hash_json(value | {"gap": timedelta(minutes=31)})
    assert hash_json({"b": [1], "a": None}) == hash_text('{"a": null, "b": [1]}')


def test_a_folder_is_hashed_by_the_names_and_contents_of_its_files(tmp_path):
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "weights"
    file.write_bytes(b"one")
    before = hash_folder(tmp_path)
    assert hash_file(file) == hash_text("one")
    assert hash_folder(tmp_path, 12) == before[:12]
    file.write_bytes(b"two")
    changed = hash_folder(tmp_path)
    file.rename(file.with_name("other"))
    assert len({before, changed, hash_folder(tmp_path)}) == 3
