"""What the predictor promises: order, places, equal texts once, and reasons that add up."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig

from profile_lib.inference.predictor import EncodingStats, Predictor
from profile_lib.inference.runtimes import TorchRuntime
from profile_lib.inference.udf import (
    PREDICTION,
    InferenceCounters,
    add_predictions,
    predict_before_deadline,
    predict_rows,
    to_row_arrays,
)
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.shrinking import build_student, prune_heads
from profile_lib.model.spec import ModelSpec
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
    torch.nn.init.normal_(model.heads.added.weight, std=0.5)  # begins at zero: text without effect
    return model


@pytest.fixture(scope="module")
def model() -> ProfileModel:
    return tiny_model()


@pytest.fixture(scope="module")
def predictor(model) -> Predictor:
    return predictor_of(model)


def predictor_of(model: ProfileModel) -> Predictor:
    return Predictor(model, TorchRuntime(model, CPU), SEP, batch_tokens=40, max_events=MAX_EVENTS)


def text_of(words: list[int]) -> list[int]:
    return [CLS, *words, SEP][:MAX_TOKENS]


def arrays(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids = np.array([t + [0] * (MAX_TOKENS - len(t)) for t in texts], np.int32)
    lengths = np.array([len(t) for t in texts])
    numbers = np.random.default_rng(0).normal(size=(len(texts), N_FEATURES)).astype(np.float32)
    return ids, lengths, numbers


words = st.lists(st.integers(min_value=2, max_value=19), min_size=0, max_size=10)


def assert_as_alone(model: ProfileModel, texts: list[list[int]]) -> None:
    ids, lengths, numbers = arrays(texts)
    found = predictor_of(model).predict(ids, lengths, numbers)
    for i, text in enumerate(texts):
        alone = model(
            torch.tensor([text]), torch.tensor([len(text)]), torch.from_numpy(numbers[i : i + 1])
        )
        np.testing.assert_allclose(found.vectors[i], alone.vector[0].detach(), atol=1e-5)
        np.testing.assert_allclose(
            found.outputs["buys"][i], alone.logits["buys"].sigmoid().item(), atol=1e-5
        )
        np.testing.assert_allclose(
            found.outputs["next_category"][i],
            alone.logits["next_category"].softmax(-1)[0].detach(),
            atol=1e-5,
        )


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(words.map(text_of), min_size=1, max_size=30))
def test_every_row_gets_what_it_would_get_alone_in_its_own_place(texts):
    assert_as_alone(tiny_model(), texts)


@pytest.mark.parametrize(
    "made_smaller",
    [lambda model: build_student(model, 1), lambda model: prune_heads(model, ((0,), (0, 1)))],
    ids=["fewer layers", "fewer heads"],
)
def test_so_it_is_with_a_model_made_smaller(model, made_smaller):
    assert_as_alone(made_smaller(model), [text_of([2 + i] * (1 + i % 8)) for i in range(12)])


def test_equal_texts_are_encoded_once(predictor, model, monkeypatch):
    encoded = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda ids, n: encoded.append(len(ids)) or encode(ids, n))
    predictor.predict(*arrays([text_of([5, 6])] * 50 + [text_of([7])] * 50))
    assert sum(encoded) == 2


def test_equal_texts_in_two_batches_are_encoded_once_where_they_lie_side_by_side(model):
    predictor = predictor_of(model)
    ids, lengths, numbers = arrays([text_of([5, 6])] * 3 + [text_of([7])] * 3)
    whole = predictor_of(model).predict(ids, lengths, numbers)
    parts = [predictor.predict(ids[i : i + 2], lengths[i : i + 2], numbers[i : i + 2])
             for i in (0, 2, 4)]  # fmt: skip
    assert predictor.stats == EncodingStats(texts=2, tokens=4 + 3, padding=0)
    for task in whole.outputs:
        found = np.concatenate([part.outputs[task] for part in parts])
        np.testing.assert_allclose(found, whole.outputs[task], atol=1e-6)


def test_padding_is_counted(model):
    predictor = predictor_of(model)
    predictor.predict(*arrays([text_of([5] * 6), text_of([6] * 3), text_of([7] * 3)]))
    assert predictor.stats == EncodingStats(texts=3, tokens=8 + 5 + 5, padding=3 + 3)


def test_near_lengths_share_a_batch_that_is_trimmed_and_never_over_its_tokens(
    predictor, model, monkeypatch
):
    shapes = []
    encode = model.encode
    monkeypatch.setattr(
        model, "encode", lambda ids, n: shapes.append(tuple(ids.shape)) or encode(ids, n)
    )
    predictor.predict(*arrays([text_of([3 + i % 15] * (1 + i % 10)) for i in range(60)]))
    assert max(rows * width for rows, width in shapes) <= 40
    assert shapes == sorted(shapes, key=lambda shape: -shape[1])
    assert {width for _, width in shapes} <= set(range(3, MAX_TOKENS + 1))


def test_effects_of_the_events_are_slope_times_their_part_of_the_text(predictor, model):
    text = [CLS, 4, SEP, 5, 6, SEP, 7, SEP, 8, 9, SEP]
    ids, lengths, numbers = arrays([text])
    effects = predictor.predict(ids, lengths, numbers).effects["buys"][0]
    with torch.no_grad():
        hidden = model.encode(torch.tensor([text]), torch.tensor([len(text)]))
        numeric = model.numbers(torch.from_numpy(numbers))
    pooled = model.pool(hidden, torch.tensor([len(text)])).requires_grad_(True)
    _, logits = model.apply_heads(pooled, numeric)
    (slope,) = torch.autograd.grad(logits["buys"].sum(), pooled)
    by_token = (hidden[0] @ slope[0] / len(text)).detach().numpy()
    expected = [by_token[3:6].sum(), by_token[6:8].sum(), by_token[8:11].sum(), 0.0]
    np.testing.assert_allclose(effects, expected, atol=1e-6)


def test_a_text_alone_is_the_mean_of_its_hidden_states(predictor, model):
    ids, lengths, _ = arrays([text_of([5, 6, 7]), text_of([8]), text_of([5, 6, 7])])
    with torch.no_grad():
        tokens, n = torch.from_numpy(ids).long(), torch.from_numpy(lengths)
        wanted = model.pool(model.encode(tokens, n), n).numpy()
    found = predictor.pool(ids, lengths)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert (found[0] == found[2]).all()


def test_rows_without_tokens_or_numbers_stay_null_in_their_place(predictor):
    ids, lengths, numbers = arrays([text_of([5]), text_of([6]), text_of([7])])
    token_ids = pd.Series([ids[0], None, ids[2]])
    numeric = pd.Series([numbers[0], numbers[1], None])
    found = predict_rows(predictor, to_row_arrays(token_ids, pd.Series(lengths), numeric), 2)
    assert list(found.columns) == PREDICTION.names
    assert found["vector"].isna().tolist() == [False, True, True]
    alone = predictor.predict(ids[:1], lengths[:1], numbers[:1])
    np.testing.assert_allclose(found["vector"][0], alone.vectors[0], atol=1e-6)
    assert len(found["outputs"][0]) == 1 + 3
    assert len(found["reason_events"][0]) == 2 * 2


def test_what_is_not_begun_in_time_stays_null_in_its_place(predictor, monkeypatch):
    ids = pd.Series([np.array(text_of([3, 4]) + [0] * 8, dtype=np.int32)] * 70)
    ids[1] = None
    rows = to_row_arrays(ids, pd.Series([4] * 70), pd.Series([np.zeros(N_FEATURES)] * 70))
    clock = iter([0.0, 1.0, 2.0])  # the third look comes after the end
    monkeypatch.setattr("profile_lib.inference.udf.time.monotonic", lambda: next(clock))
    found = predict_before_deadline(1.5, predictor, rows, 1)
    assert found["vector"].notna().tolist() == [True, False] + [True] * 62 + [False] * 6
    whole = predict_rows(predictor, rows, 1)
    said, wanted = (np.stack(frame["outputs"][2:64]) for frame in (found, whole))
    np.testing.assert_allclose(said, wanted, atol=1e-6)


def test_a_batch_without_rows_gives_none(predictor):
    nothing = pd.Series([], dtype=object)
    assert predict_rows(
        predictor, to_row_arrays(nothing, pd.Series([], dtype=float), nothing), 2
    ).empty


def test_a_model_without_text_answers_from_its_numbers_and_has_no_reasons(model):
    spec = model.spec.model_copy(update={"bert": None})
    plain = ProfileModel(spec).eval()
    ids, lengths, numbers = arrays([text_of([3]), text_of([4, 5])])
    found = predictor_of(plain).predict(ids, lengths, numbers)
    logits = plain.predict_without_text(torch.from_numpy(numbers))
    np.testing.assert_allclose(
        found.outputs["buys"], logits["buys"].sigmoid().detach().numpy(), atol=1e-6
    )
    assert not found.effects["buys"].any()


def test_categories_are_read_by_the_positions_that_the_model_knows(spark, tmp_path, model):
    """The frame holds the values; which number each becomes is the model's to say."""
    category = CategorySpec(name="device", values=("phone", "desk"))
    spec = model.spec.model_copy(update={"bert": None, "categories": (category,)})
    torch.manual_seed(2)
    made = ProfileModel(spec).eval()
    manifest = save_model(str(tmp_path / "m"), made, encoder_folder("default"), {}, {})
    rows = [("a", "desk"), ("b", "toaster"), ("c", None)]
    frame = spark.createDataFrame(
        [(u, d, "", [1, 2], 2, [0.5, 1.0, 2.0]) for u, d in rows],
        "user_id string, device string, text string, token_ids array<int>, n_tokens int, "
        "numeric array<double>",
    )
    predicted = add_predictions(
        frame, str(tmp_path / "m"), categories=[("device", category.values)],
        model_version=manifest.model_version, runtime="torch_fp32", batch_tokens=40, max_events=4,
        n_reasons=0, counters=InferenceCounters.create(spark.sparkContext),
    )  # fmt: skip
    found = {r["user_id"]: r["prediction"]["outputs"][0] for r in predicted.collect()}
    unknown = float("nan")
    numbers = torch.tensor([[0.5, 1.0, 2.0, 1.0], [0.5, 1.0, 2.0, unknown]])
    desk, other = made.predict_without_text(numbers)["buys"].sigmoid().tolist()
    assert found == {
        "a": pytest.approx(desk), "b": pytest.approx(other), "c": pytest.approx(other)
    }  # fmt: skip
    assert desk != pytest.approx(other)
