"""Test that removed heads act like zeroed ones, and that the least important are removed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model, save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import count_heads, mask_heads, select_important_heads
from profile_lib.model.shrinking import build_student, prune_heads
from profile_lib.model.spec import ModelSpec
from tests.worlds import tiny_spec

IDS, N_TOKENS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([4, 3])
NUMERIC = torch.tensor([[1.0], [2.0]])
KEPT = ((0, 2, 3), (1,), (0, 1, 2, 3))  # heads kept in three layers of four heads


def full_model(prefix_tokens: int = 0) -> ProfileModel:
    """Build a model of three layers of four heads, with every weight moved at random."""
    bert = {**(tiny_spec().bert or {}), "num_hidden_layers": 3, "num_attention_heads": 4}
    torch.manual_seed(0)
    model = ProfileModel(tiny_spec(bert=bert, prefix_tokens=prefix_tokens))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


def zero_other_heads(model: ProfileModel, kept=KEPT) -> ProfileModel:
    """Set the output columns of all heads except `kept` to zero."""
    for layer, heads in zip(model.bert.encoder.layer, kept, strict=True):
        weight = layer.attention.output.dense.weight.data.unflatten(1, (4, 2))
        weight[:, [i for i in range(4) if i not in heads]] = 0.0
    return model


def assert_same_predictions(model: ProfileModel, other: ProfileModel) -> None:
    actual, expected = (each(IDS, N_TOKENS, NUMERIC) for each in (model, other))
    torch.testing.assert_close(actual.hidden[0], expected.hidden[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(actual.vector, expected.vector, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(actual.logits["buys"], expected.logits["buys"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("prefix_tokens", [0, 2])
def test_a_pruned_model_predicts_as_the_full_one_with_the_pruned_heads_at_zero(
    attention, prefix_tokens
):
    pruned = prune_heads(full_model(prefix_tokens), KEPT)
    zeroed = zero_other_heads(full_model(prefix_tokens))
    for model in (pruned, zeroed):
        model.bert.set_attn_implementation(attention)
    assert_same_predictions(pruned, zeroed)
    assert count_heads(pruned.bert) == [3, 1, 4]
    layer = pruned.bert.encoder.layer[1].attention
    assert layer.self.query.weight.shape == layer.self.value.weight.shape == (2, 8)
    assert layer.output.dense.weight.shape == (8, 2)
    with pytest.raises(AssertionError):
        assert_same_predictions(pruned, full_model(prefix_tokens))


def test_a_pruned_model_is_loaded_as_it_was_saved(tokenizer_folder, tmp_path):
    pruned = prune_heads(full_model(), KEPT)
    save_model(str(tmp_path / "pruned"), pruned, tokenizer_folder, {}, {})
    loaded, spec, _ = load_model(str(tmp_path / "pruned"))
    assert spec.heads_left == KEPT
    actual, expected = (model(IDS, N_TOKENS, NUMERIC) for model in (loaded, pruned))
    assert torch.equal(actual.vector, expected.vector)


def test_a_spec_without_pruned_heads_has_all_heads():
    fields = tiny_spec().model_dump(exclude={"heads_left"})
    assert count_heads(ProfileModel(ModelSpec(**fields)).bert) == [2, 2]


def test_a_pruned_model_can_be_pruned_again_and_shortened():
    once = prune_heads(full_model(prefix_tokens=2), KEPT)
    twice = prune_heads(once, ((0, 2), (0,), (1, 3)))
    assert twice.spec.heads_left == ((0, 3), (1,), (1, 3))
    assert_same_predictions(
        twice, zero_other_heads(full_model(prefix_tokens=2), ((0, 3), (1,), (1, 3)))
    )
    student = build_student(twice, 2)
    assert student.spec.heads_left == ((0, 3), (1, 3))
    assert count_heads(student.bert) == [2, 2]


@pytest.mark.parametrize(("n", "chosen"), [(1, [0]), (2, [0, 2])])
def test_a_student_has_evenly_spaced_layers_and_all_other_weights_of_its_teacher(n, chosen):
    teacher = full_model(prefix_tokens=2)
    student = build_student(teacher, n)
    assert len(student.bert.encoder.layer) == student.spec.bert["num_hidden_layers"] == n
    student_state, teacher_state = student.state_dict(), teacher.state_dict()
    for name in student_state:
        layer = next((i for i in range(n) if f"layer.{i}." in name), None)
        source = name if layer is None else name.replace(f"r.{layer}.", f"r.{chosen[layer]}.")
        expected = teacher_state[source][chosen] if name == "prefix" else teacher_state[source]
        assert torch.equal(student_state[name], expected), name
    rebuilt = ProfileModel(student.spec)
    rebuilt.load_state_dict(student_state)
    assert_same_predictions(rebuilt.eval(), student)


def test_a_student_with_as_many_layers_as_its_teacher_is_refused():
    with pytest.raises(InputError, match="student_layers: 3, but the teacher has 3 layers; wanted"):
        build_student(full_model(), 3)


def test_a_mask_multiplies_a_heads_output_only_within_the_block():
    model, plain = full_model(), full_model()
    with mask_heads(model.bert, 2) as masks:
        assert [tuple(mask.shape) for mask in masks] == [(2, 4)] * 3
        assert_same_predictions(model, plain)
        with torch.no_grad():
            for mask, heads in zip(masks, KEPT, strict=True):
                mask[:, [i for i in range(4) if i not in heads]] = 0.0
        assert_same_predictions(model, zero_other_heads(full_model()))
    assert_same_predictions(model, plain)


def test_heads_with_the_least_importance_divided_by_their_layers_norm_are_removed():
    importances = [torch.tensor([3.0, 4.0]), torch.tensor([0.05, 0.9])]  # 0.6, 0.8 and 0.06, 1.0
    assert select_important_heads(importances, 0.25) == ((0, 1), (1,))
    assert select_important_heads(importances, 0.5) == ((1,), (1,))


def test_a_layer_keeps_one_head_even_if_it_is_the_least_important():
    importances = [torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0, 1.0])]
    assert select_important_heads(importances, 0.6) == ((1,), (2,))


@pytest.mark.parametrize(("share", "message"), [(0.05, "0; wanted 1 to 2"), (0.75, "3; wanted 1")])
def test_a_share_that_removes_no_head_or_all_heads_of_a_layer_is_refused(share, message):
    with pytest.raises(InputError, match=rf"pruned_share: {share} of 4 heads are {message}"):
        select_important_heads([torch.ones(2), torch.ones(2)], share)


@given(
    st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=6), min_size=1, max_size=4),
    st.floats(0.01, 0.99),
)
def test_the_share_of_heads_is_removed_and_each_layer_keeps_its_most_important(layers, share):
    n_heads = sum(map(len, layers))
    n_pruned = round(share * n_heads)
    if not 0 < n_pruned <= n_heads - len(layers):
        return
    kept = select_important_heads([torch.tensor(x).float() for x in layers], share)
    assert sum(map(len, kept)) == n_heads - n_pruned
    for heads, importances in zip(kept, layers, strict=True):
        assert max(importances) in [importances[i] for i in heads]
