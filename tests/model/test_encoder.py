"""What the model reads, and that its parts add up to the whole."""

import pytest
import torch
from transformers import BertModel

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel, load_encoder

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
N_TOKENS = torch.tensor([4, 3])
NUMERIC = torch.tensor([[1.0, 2.0], [float("nan"), 3.0]])


def test_shapes_are_a_logit_a_binary_row_and_one_a_class(model):
    out = model(IDS, N_TOKENS, NUMERIC)
    assert out.vector.shape == (2, 5)
    assert out.hidden.shape == (2, 4, 8)
    assert out.logits["buys"].shape == (2,)
    assert out.logits["next"].shape == (2, 3)


def test_padding_and_what_stands_in_it_change_nothing(model):
    padded = torch.tensor([[2, 7, 3, 9, 9, 9]])
    alone = model(torch.tensor([[2, 7, 3]]), torch.tensor([3]), NUMERIC[1:])
    wide = model(padded, torch.tensor([3]), NUMERIC[1:])
    torch.testing.assert_close(alone.vector, wide.vector)
    torch.testing.assert_close(alone.logits["next"], wide.logits["next"])


def test_the_pool_is_the_mean_over_the_true_tokens(model):
    hidden = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert model.pool(hidden, torch.tensor([2])).tolist() == [[2.0]]


def test_the_forward_pass_is_made_of_its_parts(model):
    out = model(IDS, N_TOKENS, NUMERIC)
    pooled = model.pool(model.encode(IDS, N_TOKENS), N_TOKENS)
    vector, logits = model.apply_heads(pooled, model.numbers(NUMERIC))
    torch.testing.assert_close(vector, out.vector)
    torch.testing.assert_close(logits["buys"], out.logits["buys"])


def test_a_fresh_model_says_what_its_numbers_alone_say(spec):
    fresh = ProfileModel(spec).eval()
    with_text = fresh(IDS, N_TOKENS, NUMERIC).logits
    for task, logits in fresh.predict_without_text(NUMERIC).items():
        torch.testing.assert_close(with_text[task], logits)


def test_an_encoder_keeps_its_lowest_layers_and_says_where_it_is_too_small(spec, tmp_path):
    whole = ProfileModel(spec).bert
    whole.save_pretrained(tmp_path)
    cut = load_encoder(str(tmp_path), 1, 16)
    assert isinstance(cut, BertModel)
    assert (len(cut.encoder.layer), cut.config.num_hidden_layers) == (1, 1)
    torch.testing.assert_close(
        cut.encoder.layer[0].output.dense.weight, whole.encoder.layer[0].output.dense.weight
    )
    with pytest.raises(InputError, match="encoder_layers: 3, but .* has 2 layers"):
        load_encoder(str(tmp_path), 3, 16)
    with pytest.raises(InputError, match="max_tokens: 17, but .* reads 16 tokens"):
        load_encoder(str(tmp_path), None, 17)
