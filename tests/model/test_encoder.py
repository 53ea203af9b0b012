"""Test the profile model's shapes, padding and parts."""

import torch

from profile_lib.model.encoder import ProfileModel

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
N_TOKENS = torch.tensor([4, 3])
NUMERIC = torch.tensor([[1.0, 2.0], [float("nan"), 3.0]])


def test_a_binary_task_has_one_logit_per_row_and_a_multiclass_task_one_per_class(model):
    out = model(IDS, N_TOKENS, NUMERIC)
    assert out.vector.shape == (2, 5)
    assert out.hidden.shape == (2, 4, 8)
    assert out.logits["buys"].shape == (2,)
    assert out.logits["next"].shape == (2, 3)


def test_padding_does_not_change_the_output(model):
    padded = torch.tensor([[2, 7, 3, 9, 9, 9]])
    trimmed = model(torch.tensor([[2, 7, 3]]), torch.tensor([3]), NUMERIC[1:])
    wide = model(padded, torch.tensor([3]), NUMERIC[1:])
    torch.testing.assert_close(trimmed.vector, wide.vector)
    torch.testing.assert_close(trimmed.logits["next"], wide.logits["next"])


def test_the_pool_is_the_mean_over_the_tokens_without_padding(model):
    hidden = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert model.pool(hidden, torch.tensor([2])).tolist() == [[2.0]]


def test_the_forward_pass_equals_encode_pool_and_heads(model):
    out = model(IDS, N_TOKENS, NUMERIC)
    pooled = model.pool(model.encode(IDS, N_TOKENS), N_TOKENS)
    vector, logits = model.apply_heads(pooled, NUMERIC)
    torch.testing.assert_close(vector, out.vector)
    torch.testing.assert_close(logits["buys"], out.logits["buys"])


def test_the_text_of_an_untrained_model_changes_no_logit(spec):
    untrained = ProfileModel(spec).eval()
    with_text = untrained(IDS, N_TOKENS, NUMERIC).logits
    for task, logits in untrained.predict_without_text(NUMERIC).items():
        torch.testing.assert_close(with_text[task], logits)
