"""Test that a model is loaded exactly as it was saved, and refused otherwise."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model, save_model
from profile_lib.model.manifest import check_model, read_manifest
from profile_lib.model.numeric_encoder import NumericStatistics

IDS, N_TOKENS = torch.tensor([[2, 5, 3]]), torch.tensor([3])
NUMERIC = torch.tensor([[1.0, float("nan")]])


@pytest.fixture
def saved(model, spec, tokenizer_folder, tmp_path) -> Path:
    model.numbers.set_statistics(
        [
            NumericStatistics("views", True, 1.0, 2.0, (0.0, 1.0, 2.0)),
            NumericStatistics("price", False, 5.0, 3.0, (1.0, 9.0)),
        ]
    )
    save_model(
        str(tmp_path / "shop"), model, tokenizer_folder, {"auc": 0.9}, {"examples": 4},
        {"report.json": {"buys": 1}},
    )  # fmt: skip
    return tmp_path / "shop"


def test_a_loaded_model_predicts_as_the_saved_one(saved, model, spec):
    loaded, loaded_spec, manifest = load_model(str(saved))
    assert not loaded.training
    assert loaded_spec.tasks == spec.tasks
    assert (manifest.metrics, manifest.table_versions) == ({"auc": 0.9}, {"examples": 4})
    torch.testing.assert_close(
        loaded(IDS, N_TOKENS, NUMERIC).vector, model(IDS, N_TOKENS, NUMERIC).vector
    )
    assert AutoTokenizer.from_pretrained(saved)("a b")["input_ids"] == [2, 5, 6, 3]
    assert json.loads((saved / "report.json").read_text()) == {"buys": 1}
    assert not list(saved.glob("*.bin")) + list(saved.glob("*.pt"))


def test_the_version_changes_with_the_weights_and_only_with_them(saved, model, tokenizer_folder):
    first = read_manifest(str(saved)).model_version
    same = save_model(str(saved), model, tokenizer_folder, {}, {})
    assert first.startswith("shop-")
    assert same.model_version == first
    with torch.no_grad():
        model.heads.added.bias += 1
    assert save_model(str(saved), model, tokenizer_folder, {}, {}).model_version != first
    assert sorted(p.name for p in saved.parent.iterdir()) == ["shop", "tokenizer"]


def test_changed_weights_are_refused(saved):
    weights = saved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"model.safetensors: sha256 .* changed after training"):
        load_model(str(saved))


@pytest.mark.parametrize(
    ("file", "message"),
    [("model.json", "no model.json; run train_model"), ("model.safetensors", "incomplete")],
)
def test_a_missing_file_is_refused_with_its_name(saved, file, message):
    (saved / file).unlink()
    with pytest.raises(InputError, match=message):
        load_model(str(saved))


def test_a_check_refuses_a_changed_or_missing_file(saved):
    assert check_model(str(saved)).files.keys() >= {"model.safetensors", "report.json"}
    (saved / "report.json").write_text("{}")
    with pytest.raises(InputError, match=r"report.json: sha256 .* the file was changed"):
        check_model(str(saved))
    (saved / "report.json").unlink()
    with pytest.raises(InputError, match="no report.json; the folder is incomplete"):
        check_model(str(saved))


def test_a_check_refuses_a_changed_manifest(saved):
    path = saved / "model.json"
    path.write_text(path.read_text().replace('"joined_size": 5', '"joined_size": 6'))
    with pytest.raises(InputError, match=r"model.json names version \w+, but describes \w+"):
        check_model(str(saved))


def test_further_folders_are_saved_with_the_model(model, tokenizer_folder, tmp_path):
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "graph.xml").write_text("<graph/>")
    manifest = save_model(
        str(tmp_path / "m"), model, tokenizer_folder, {}, {}, folders={"int8": tmp_path / "extra"}
    )
    assert (tmp_path / "m" / "int8" / "graph.xml").read_text() == "<graph/>"
    assert "int8/graph.xml" in manifest.files


def test_an_invalid_manifest_is_refused_with_its_missing_keys(saved):
    (saved / "model.json").write_text('{"model_version": "x"}')
    with pytest.raises(InputError, match="not a model's description: files: Field required"):
        read_manifest(str(saved))


def test_a_failed_write_keeps_the_old_model(saved, model, tmp_path):
    before = read_manifest(str(saved))
    with pytest.raises(OSError, match="nowhere"):
        save_model(str(saved), model, str(tmp_path / "nowhere"), {}, {})
    assert load_model(str(saved))[2] == before
