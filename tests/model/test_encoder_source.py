"""Test how the setting `model.encoder` becomes an encoder, and which names are refused."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel, BertTokenizer, RobertaConfig, RobertaModel

from profile_lib.errors import InputError
from profile_lib.inference.predictor import Predictor
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_family import ENCODERS
from profile_lib.model.encoder_source import encoder_folder, load_encoder, read_separator_id
from tests.worlds import tiny_encoder, tiny_spec


def test_the_default_encoder_is_installed_with_weights_and_tokenizer():
    names = {file.name for file in Path(encoder_folder("default")).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names


def test_a_folder_with_config_and_weights_is_used_as_it_is(tmp_path):
    folder = tiny_encoder(tmp_path / "encoder")
    assert encoder_folder(folder) == folder


@pytest.mark.parametrize("files", [["config.json"], ["config.json", "pytorch_model.bin"], []])
def test_a_folder_without_safetensors_is_refused_with_the_names_of_its_files(tmp_path, files):
    for name in files:
        (tmp_path / name).touch()
    names = ", ".join(sorted(files)) or "nothing"
    with pytest.raises(
        InputError, match=f"holds {names}; wanted config.json and model.safetensors"
    ):
        encoder_folder(str(tmp_path))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder at"):
        encoder_folder(str(tmp_path / "nothing"))


def test_a_name_of_the_hugging_face_hub_is_returned_unchanged():
    assert encoder_folder("somebody/some-bert") == "somebody/some-bert"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"model_type": "gpt2"}', "is an encoder of type gpt2; wanted one of bert"),
        ("{}", "is an encoder of type unknown; wanted one of bert"),
        ("not JSON", "config.json: not JSON: .*; download the encoder again"),
    ],
)
def test_an_encoder_of_an_unsupported_type_is_refused(tmp_path, config, message):
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=message):
        encoder_folder(str(tmp_path))
    with pytest.raises(InputError, match=message):
        load_encoder(str(tmp_path), None, 16)


def test_an_encoder_can_be_loaded_with_only_its_lowest_layers(spec, tmp_path):
    saved = ProfileModel(spec).bert
    saved.save_pretrained(tmp_path)
    shortened = load_encoder(str(tmp_path), 1, 16)
    assert isinstance(shortened, BertModel)
    assert (len(shortened.encoder.layer), shortened.config.num_hidden_layers) == (1, 1)
    torch.testing.assert_close(
        shortened.encoder.layer[0].output.dense.weight, saved.encoder.layer[0].output.dense.weight
    )


def test_an_encoder_with_too_few_layers_or_positions_is_refused(spec, tmp_path):
    ProfileModel(spec).bert.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="encoder_layers: 3, but .* has 2 layers"):
        load_encoder(str(tmp_path), 3, 16)
    with pytest.raises(InputError, match="max_tokens: 17, but .* reads 16 tokens"):
        load_encoder(str(tmp_path), None, 17)


NEW_FAMILY = '''
import torch
from transformers import RobertaConfig, RobertaModel
from profile_lib.model.encoder_family import ENCODERS, EncoderFamily


@ENCODERS.register("roberta")
class RobertaFamily(EncoderFamily):
    """RobertaModel, whose positions begin at 2."""

    @classmethod
    def load(cls, source, dropout):
        return RobertaModel.from_pretrained(
            source, add_pooling_layer=False, dtype=torch.float32, use_safetensors=True
        )

    @classmethod
    def build(cls, config):
        return RobertaModel(RobertaConfig.from_dict(config), add_pooling_layer=False)

    @classmethod
    def max_tokens(cls, config):
        return config.max_position_embeddings - config.pad_token_id - 1

    @classmethod
    def separator_id(cls, tokenizer):
        return tokenizer.convert_tokens_to_ids("</s>")
'''


def test_an_encoder_of_a_family_in_a_new_module_is_loaded_saved_and_predicts(tmp_path, monkeypatch):
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "c"]
    folder, config = str(tmp_path / "encoder"), RobertaConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=18, pad_token_id=1,
    )  # fmt: skip
    pretrained = RobertaModel(config, add_pooling_layer=False).eval()
    pretrained.save_pretrained(folder)
    BertTokenizer(
        vocab={word: i for i, word in enumerate(words)}, unk_token="<unk>", sep_token="</s>",
        pad_token="<pad>", cls_token="<s>", mask_token="<mask>",
    ).save_pretrained(folder)  # fmt: skip
    with pytest.raises(InputError, match="is an encoder of type roberta; wanted one of bert"):
        encoder_folder(folder)

    (tmp_path / "roberta_family.py").write_text(NEW_FAMILY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ENCODERS, "by_name", ENCODERS.all())
    import_module("roberta_family")
    encoder = load_encoder(encoder_folder(folder), None, 16)
    separator = read_separator_id(folder)
    assert separator == 2
    with pytest.raises(InputError, match="reads 16 tokens at most"):
        load_encoder(folder, None, 17)

    spec = tiny_spec(bert=encoder.config.to_dict(), max_tokens=16, separator_id=separator)
    model = ProfileModel(spec, encoder).eval()
    saved = str(tmp_path / "m")
    version = save_model(saved, model, folder, {}, {}).model_version
    predictor = Predictor.load(
        saved, version, runtime="torch_fp32", device=torch.device("cpu"), threads=1,
        batch_tokens=64, max_events=2,
    )  # fmt: skip
    ids = np.array([[0, 5, 6, 2]])
    with torch.no_grad():
        hidden = pretrained(input_ids=torch.from_numpy(ids)).last_hidden_state
    pooled = predictor.pool(ids, np.array([4]))
    np.testing.assert_allclose(pooled, hidden.mean(1).numpy(), atol=1e-5)
    assert json.loads((tmp_path / "m" / "model.json").read_text())["spec"]["separator_id"] == 2
