"""Only adapters are tuned, and merging them does not change a model's outputs."""

import numpy as np
import pytest
import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.training.adapters import apply_tuning, merge_adapters, orthogonality_penalty
from profile_lib.training.plan import Tuning
from tests.worlds import tiny_spec

SPEC = tiny_spec()
IDS, N_TOKENS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([4, 3])
NUMERIC = torch.tensor([[1.0], [2.0]])
METHODS = ["lora", "adalora", "prefix", "ia3"]


def tuned_model(method: str) -> ProfileModel:
    """Build a model with adapters, with every trainable weight moved at random."""
    torch.manual_seed(0)
    model = ProfileModel(SPEC)
    apply_tuning(model, Tuning(method, rank=2, prefix_tokens=3), 10)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


@pytest.mark.parametrize("method", METHODS)
def test_a_merged_model_predicts_as_the_tuned_one_and_loads_without_adapters(method):
    model = tuned_model(method)
    before = model(IDS, N_TOKENS, NUMERIC)
    merged = merge_adapters(model).eval()
    after = merged(IDS, N_TOKENS, NUMERIC)
    torch.testing.assert_close(after.logits["buys"], before.logits["buys"])
    torch.testing.assert_close(after.vector, before.vector)
    again = ProfileModel(merged.spec)
    again.load_state_dict(merged.state_dict())
    torch.testing.assert_close(again.eval()(IDS, N_TOKENS, NUMERIC).vector, before.vector)
    assert merged.spec.prefix_tokens == (3 if method == "prefix" else 0)


@pytest.mark.parametrize("method", METHODS)
def test_only_adapter_weights_of_the_encoder_are_tuned(method):
    names = [n for n, p in tuned_model(method).bert.named_parameters() if p.requires_grad]
    word = {"lora": "lora_", "adalora": "lora_", "prefix": "prompt_encoder", "ia3": "ia3_"}[method]
    assert names
    assert all(word in name for name in names)


def test_the_adalora_penalty_is_half_the_mean_distance_of_its_factors_from_orthogonality():
    model = tuned_model("adalora")
    distances = []
    for name, p in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = (p @ p.T if "lora_A" in name else p.T @ p).detach().numpy()
            distances.append(np.linalg.norm(product - np.eye(len(product))))
    assert orthogonality_penalty(model).item() == pytest.approx(0.5 * np.mean(distances))
    assert orthogonality_penalty(tuned_model("lora")) == 0.0


def test_tuning_all_weights_adds_no_adapters_to_merge():
    model = ProfileModel(SPEC)
    apply_tuning(model, Tuning("all"), 10)
    assert all(p.requires_grad for p in model.parameters())
    assert merge_adapters(model) is model


def test_a_model_without_text_has_no_encoder_to_tune():
    model = ProfileModel(tiny_spec(bert=None))
    apply_tuning(model, Tuning("lora"), 10)
    assert model.predict_without_text(NUMERIC)["buys"].shape == (2,)
    assert not [name for name, _ in model.named_parameters() if "bert" in name]
