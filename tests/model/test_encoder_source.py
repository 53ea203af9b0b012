"""Where an encoder comes from, and what a folder that is none is answered."""

import pytest

from profile_lib.errors import InputError
from profile_lib.model.encoder_source import encoder_folder
from tests.worlds import tiny_encoder


def test_the_default_encoder_comes_as_a_package_with_weights_and_tokenizer():
    from pathlib import Path

    names = {file.name for file in Path(encoder_folder("default")).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names


def test_a_folder_with_config_and_weights_is_taken_as_it_is(tmp_path):
    folder = tiny_encoder(tmp_path / "encoder")
    assert encoder_folder(folder) == folder


@pytest.mark.parametrize("kept", [["config.json"], ["config.json", "pytorch_model.bin"], []])
def test_a_folder_without_safe_weights_is_told_with_what_it_holds(tmp_path, kept):
    for name in kept:
        (tmp_path / name).touch()
    held = ", ".join(sorted(kept)) or "nothing"
    with pytest.raises(InputError, match=f"holds {held}; wanted config.json and model.safetensors"):
        encoder_folder(str(tmp_path))


def test_a_missing_folder_is_told_and_a_hub_name_is_left_to_the_hub(tmp_path):
    with pytest.raises(InputError, match="no folder at"):
        encoder_folder(str(tmp_path / "nothing"))
    assert encoder_folder("somebody/some-bert") == "somebody/some-bert"
