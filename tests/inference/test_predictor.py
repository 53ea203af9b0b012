"""Test the predictor: row order, equal texts encoded once, effects, and missing rows."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig

from profile_lib.errors import InputError
from profile_lib.inference.predictor import EncodingStats, Predictor
from profile_lib.inference.row_arrays import (
    PREDICTION,
    predict_before_deadline,
    predict_rows,
    to_row_arrays,
)
from profile_lib.inference.runtimes.torch_fp32 import TorchFp32
from profile_lib.inference.udf import InferenceCounters, add_predictions
from profile_lib.model.baselines import TaskBaselines
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.shrinking import build_student, prune_heads
from profile_lib.model.spec import BaselineSpec, ModelSpec
from profile_lib.model.tasks import CategorySpec, TaskSpec

CLS, SEP = 1, 2
N_FEATURES, MAX_TOKENS, MAX_EVENTS = 3, 12, 4
CPU = torch.device("cpu")


def tiny_model() -> ProfileModel:
    torch.manual_seed(5)
    bert = BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=MAX_TOKENS,
    )  # fmt: skip
    spec = ModelSpec(
        tasks=(
            TaskSpec(name="buys", kind="binary", classes=()),
            TaskSpec(name="next_category", kind="multiclass", classes=("a", "b", "c")),
        ),
        numeric=("x", "y", "z"), numeric_bins=4, numeric_hidden=8, joined_size=6, dropout=0.1,
        max_tokens=MAX_TOKENS, separator_id=SEP, bert=bert.to_dict(),
    )  # fmt: skip
    model = ProfileModel(spec).eval()
    torch.nn.init.normal_(model.heads.added.weight, std=0.5)  # at zero the text has no effect
    return model


@pytest.fixture(scope="module")
def model() -> ProfileModel:
    return tiny_model()


@pytest.fixture(scope="module")
def predictor(model) -> Predictor:
    return build_predictor(model)


def build_predictor(model: ProfileModel) -> Predictor:
    return Predictor(model, TorchFp32(model, CPU), SEP, batch_tokens=40, max_events=MAX_EVENTS)


@pytest.mark.parametrize("n_values", [N_FEATURES - 1, N_FEATURES + 1])
def test_rows_with_other_numbers_than_the_model_reads_are_refused(predictor, n_values):
    ids, lengths, _ = to_arrays([[CLS, 5, SEP]])
    message = f"numeric: {n_values} values per row, the model reads 3 numbers and 0 category codes"
    with pytest.raises(InputError, match=message):
        predictor.predict(ids, lengths, np.zeros((1, n_values), np.float32))


def to_text(words: list[int]) -> list[int]:
    return [CLS, *words, SEP][:MAX_TOKENS]


def to_arrays(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids = np.array([t + [0] * (MAX_TOKENS - len(t)) for t in texts], np.int32)
    lengths = np.array([len(t) for t in texts])
    numbers = np.random.default_rng(0).normal(size=(len(texts), N_FEATURES)).astype(np.float32)
    return ids, lengths, numbers


words = st.lists(st.integers(min_value=2, max_value=19), min_size=0, max_size=10)


def assert_rows_are_independent(model: ProfileModel, texts: list[list[int]]) -> None:
    """Assert that each row's prediction equals the one that the model makes for it alone."""
    ids, lengths, numbers = to_arrays(texts)
    predictions = build_predictor(model).predict(ids, lengths, numbers)
    for i, text in enumerate(texts):
        single = model(
            torch.tensor([text]), torch.tensor([len(text)]), torch.from_numpy(numbers[i : i + 1])
        )
        np.testing.assert_allclose(predictions.vectors[i], single.vector[0].detach(), atol=1e-5)
        np.testing.assert_allclose(
            predictions.outputs["buys"][i], single.logits["buys"].sigmoid().item(), atol=1e-5
        )
        np.testing.assert_allclose(
            predictions.outputs["next_category"][i],
            single.logits["next_category"].softmax(-1)[0].detach(),
            atol=1e-5,
        )


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(words.map(to_text), min_size=1, max_size=30))
def test_a_rows_prediction_does_not_depend_on_the_other_rows(texts):
    assert_rows_are_independent(tiny_model(), texts)


@pytest.mark.parametrize(
    "shrink",
    [lambda model: build_student(model, 1), lambda model: prune_heads(model, ((0,), (0, 1)))],
    ids=["fewer layers", "fewer heads"],
)
def test_a_rows_prediction_by_a_smaller_model_does_not_depend_on_the_other_rows(model, shrink):
    assert_rows_are_independent(shrink(model), [to_text([2 + i] * (1 + i % 8)) for i in range(12)])


def test_equal_texts_are_encoded_once(predictor, model, monkeypatch):
    encoded = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda ids, n: encoded.append(len(ids)) or encode(ids, n))
    predictor.predict(*to_arrays([to_text([5, 6])] * 50 + [to_text([7])] * 50))
    assert sum(encoded) == 2


def test_equal_texts_at_the_end_and_start_of_two_batches_are_encoded_once(model):
    predictor = build_predictor(model)
    ids, lengths, numbers = to_arrays([to_text([5, 6])] * 3 + [to_text([7])] * 3)
    together = build_predictor(model).predict(ids, lengths, numbers)
    parts = [predictor.predict(ids[i : i + 2], lengths[i : i + 2], numbers[i : i + 2])
             for i in (0, 2, 4)]  # fmt: skip
    assert predictor.stats == EncodingStats(texts=2, tokens=4 + 3, padding=0)
    for task in together.outputs:
        joined = np.concatenate([part.outputs[task] for part in parts])
        np.testing.assert_allclose(joined, together.outputs[task], atol=1e-6)


def test_padded_positions_are_counted(model):
    predictor = build_predictor(model)
    predictor.predict(*to_arrays([to_text([5] * 6), to_text([6] * 3), to_text([7] * 3)]))
    assert predictor.stats == EncodingStats(texts=3, tokens=8 + 5 + 5, padding=3 + 3)


def test_texts_are_batched_by_length_within_the_token_budget(predictor, model, monkeypatch):
    shapes = []
    encode = model.encode
    monkeypatch.setattr(
        model, "encode", lambda ids, n: shapes.append(tuple(ids.shape)) or encode(ids, n)
    )
    predictor.predict(*to_arrays([to_text([3 + i % 15] * (1 + i % 10)) for i in range(60)]))
    assert max(rows * width for rows, width in shapes) <= 40
    assert shapes == sorted(shapes, key=lambda shape: -shape[1])
    assert {width for _, width in shapes} <= set(range(3, MAX_TOKENS + 1))


def test_an_events_effect_is_the_gradient_times_its_share_of_the_pooled_text(predictor, model):
    text = [CLS, 4, SEP, 5, 6, SEP, 7, SEP, 8, 9, SEP]
    ids, lengths, numbers = to_arrays([text])
    effects = predictor.predict(ids, lengths, numbers).effects["buys"][0]
    with torch.no_grad():
        hidden = model.encode(torch.tensor([text]), torch.tensor([len(text)]))
    numeric = torch.from_numpy(numbers)
    pooled = model.pool(hidden, torch.tensor([len(text)])).requires_grad_(True)
    _, logits = model.apply_heads(pooled, numeric)
    (gradient,) = torch.autograd.grad(logits["buys"].sum(), pooled)
    by_token = (hidden[0] @ gradient[0] / len(text)).detach().numpy()
    expected = [by_token[3:6].sum(), by_token[6:8].sum(), by_token[8:11].sum(), 0.0]
    np.testing.assert_allclose(effects, expected, atol=1e-6)


def test_a_joined_score_has_the_networks_effects_times_its_weight(model):
    ids, lengths, numbers = to_arrays([[CLS, 4, SEP, 5, 6, SEP, 7, SEP]])
    alone = build_predictor(model).predict(ids, lengths, numbers)
    sizes = BaselineSpec(task="buys", n_trees=1, n_nodes=1, depth=0, n_edges=1)
    baselines = TaskBaselines(sizes, N_FEATURES)
    baselines.trees.value.fill_(2.0)
    baselines.set_weights(np.array([0.25, 1.0, 1.0]), -0.5)
    joined_model = copy.deepcopy(model)
    joined_model.set_baselines({"buys": baselines})
    joined = build_predictor(joined_model).predict(ids, lengths, numbers)
    np.testing.assert_allclose(joined.effects["buys"], 0.25 * alone.effects["buys"], atol=1e-6)
    logit = np.log(alone.outputs["buys"] / (1 - alone.outputs["buys"]))
    expected = 1 / (1 + np.exp(-(0.25 * logit + 2.0 - 0.5)))
    np.testing.assert_allclose(joined.outputs["buys"], expected, atol=1e-6)
    np.testing.assert_array_equal(joined.vectors, alone.vectors)


def test_a_pooled_text_is_the_mean_of_its_hidden_states(predictor, model):
    ids, lengths, _ = to_arrays([to_text([5, 6, 7]), to_text([8]), to_text([5, 6, 7])])
    with torch.no_grad():
        tokens, n = torch.from_numpy(ids).long(), torch.from_numpy(lengths)
        expected = model.pool(model.encode(tokens, n), n).numpy()
    pooled = predictor.pool(ids, lengths)
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    assert (pooled[0] == pooled[2]).all()


def test_rows_without_tokens_or_numbers_have_null_predictions(predictor):
    ids, lengths, numbers = to_arrays([to_text([5]), to_text([6]), to_text([7])])
    token_ids = pd.Series([ids[0], None, ids[2]])
    numeric = pd.Series([numbers[0], numbers[1], None])
    frame = predict_rows(predictor, to_row_arrays(token_ids, pd.Series(lengths), numeric), 2)
    assert list(frame.columns) == PREDICTION.names
    assert frame["vector"].isna().tolist() == [False, True, True]
    single = predictor.predict(ids[:1], lengths[:1], numbers[:1])
    np.testing.assert_allclose(frame["vector"][0], single.vectors[0], atol=1e-6)
    assert len(frame["outputs"][0]) == 1 + 3
    assert len(frame["reason_events"][0]) == 2 * 2


def test_rows_that_are_not_started_before_the_deadline_have_null_predictions(predictor):
    ids = pd.Series([np.array(to_text([3, 4]) + [0] * 8, dtype=np.int32)] * 70)
    ids[1] = None
    rows = to_row_arrays(ids, pd.Series([4] * 70), pd.Series([np.zeros(N_FEATURES)] * 70))
    seconds = iter([0.0, 1.0, 2.0])  # the third reading of the clock is after the deadline
    frame = predict_before_deadline(1.5, lambda: next(seconds), predictor, rows, 1)
    assert frame["vector"].notna().tolist() == [True, False] + [True] * 62 + [False] * 6
    unlimited = predict_rows(predictor, rows, 1)
    actual, expected = (np.stack(each["outputs"][2:64]) for each in (frame, unlimited))
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_an_empty_batch_gives_an_empty_frame(predictor):
    no_arrays = pd.Series([], dtype=object)
    assert predict_rows(
        predictor, to_row_arrays(no_arrays, pd.Series([], dtype=float), no_arrays), 2
    ).empty


def test_a_model_without_text_predicts_from_its_numbers_and_has_no_effects(model):
    spec = model.spec.model_copy(update={"bert": None})
    plain = ProfileModel(spec).eval()
    ids, lengths, numbers = to_arrays([to_text([3]), to_text([4, 5])])
    predictions = build_predictor(plain).predict(ids, lengths, numbers)
    logits = plain.predict_without_text(torch.from_numpy(numbers))
    np.testing.assert_allclose(
        predictions.outputs["buys"], logits["buys"].sigmoid().detach().numpy(), atol=1e-6
    )
    assert not predictions.effects["buys"].any()


def test_categories_are_encoded_by_the_values_that_the_model_knows(spark, tmp_path, model):
    category = CategorySpec(name="device", values=("phone", "desk"))
    spec = model.spec.model_copy(update={"bert": None, "categories": (category,)})
    torch.manual_seed(2)
    plain = ProfileModel(spec).eval()
    manifest = save_model(str(tmp_path / "m"), plain, encoder_folder("default"), {}, {})
    rows = [("a", "desk"), ("b", "toaster"), ("c", None)]
    frame = spark.createDataFrame(
        [(u, d, "", [1, 2], 2, [0.5, 1.0, 2.0]) for u, d in rows],
        "user_id string, device string, text string, token_ids array<int>, n_tokens int, "
        "numeric array<double>",
    )
    predicted = add_predictions(
        frame, str(tmp_path / "m"), categories=[category],
        model_version=manifest.model_version, runtime="torch_fp32", batch_tokens=40, max_events=4,
        n_reasons=0, counters=InferenceCounters.create(spark.sparkContext),
    )  # fmt: skip
    outputs = {r["user_id"]: r["prediction"]["outputs"][0] for r in predicted.collect()}
    unknown = float("nan")
    numbers = torch.tensor([[0.5, 1.0, 2.0, 1.0], [0.5, 1.0, 2.0, unknown]])
    desk, other = plain.predict_without_text(numbers)["buys"].sigmoid().tolist()
    assert outputs == {
        "a": pytest.approx(desk), "b": pytest.approx(other), "c": pytest.approx(other)
    }  # fmt: skip
    assert desk != pytest.approx(other)
