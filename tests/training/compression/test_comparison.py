"""Test the comparison of a teacher with the smaller models made from it."""

import numpy as np
import pandas as pd
import pytest
import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.shrinking import build_student, prune_heads
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.compression.comparison import (
    MeasuredModel,
    TextRows,
    build_compression_table,
    compare_with_teacher,
    compute_interest_vectors,
    format_compression_table,
    measure_throughput,
)
from tests.worlds import tiny_spec

CPU = torch.device("cpu")
BUYS = TaskSpec(name="buys", kind="binary")
NEXT = TaskSpec(name="next", kind="multiclass", classes=("red", "green"))


def random_model() -> ProfileModel:
    torch.manual_seed(0)
    model = ProfileModel(tiny_spec())
    torch.nn.init.normal_(model.heads.added.weight)
    return model.eval()


@pytest.mark.parametrize("batch_tokens", [1, 7, 1000])
def test_vectors_are_in_row_order_for_every_batch_size(batch_tokens):
    rng = np.random.default_rng(0)
    ids, n_tokens = rng.integers(4, 10, (9, 6)), rng.integers(1, 7, 9)
    texts = TextRows(ids, n_tokens, rng.normal(size=(9, 1)).astype(np.float32))
    model = random_model()
    vectors = compute_interest_vectors(model, texts, batch_tokens, CPU)
    with torch.no_grad():
        expected = model(*(torch.from_numpy(x) for x in texts)).vector.numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_throughput_is_the_median_of_the_repeats_after_an_uncounted_first_pass():
    seconds = {"slow": iter([9.0, 4.0, 2.0, 1.0]), "fast": iter([0.1, 1.0, 0.5, 0.5])}
    order, now = [], [0.0]

    def timed_pass(name: str):
        def run() -> None:
            order.append(name)
            now[0] += next(seconds[name])

        return run

    rates = measure_throughput({name: timed_pass(name) for name in seconds}, 10, 3, lambda: now[0])
    assert order == ["slow", "fast"] * 4
    assert rates == {"slow": pytest.approx(5.0), "fast": pytest.approx(20.0)}


def test_ratios_are_relative_to_the_teacher_and_a_missing_metric_has_none():
    teacher = random_model()
    models = [teacher, build_student(teacher, 1), prune_heads(teacher, ((1,), (0, 1)))]
    reports = [
        {
            "buys": {"kind": "binary", "model": {"roc_auc": auc, "pr_auc": None, "brier": 1.0}},
            "next": {"kind": "multiclass", "n": 0},
        }
        for auc in (0.8, 0.76, 0.4)
    ]
    vectors = [[[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [2.0, 0.0]]]
    names, speeds = ("teacher", "student", "pruned"), (100.0, 250.0, 110.0)
    table = build_compression_table(
        {
            name: MeasuredModel(f"shop_{name}", model, report, np.array(vector), speed)
            for name, model, report, vector, speed in zip(
                names, models, reports, vectors, speeds, strict=True
            )
        }
    )
    assert [column["speed_ratio"] for column in table.values()] == [1.0, 2.5, 1.1]
    assert [column["vector_cosine"] for column in table.values()] == [1.0, 1.0, 0.5]
    assert [column["heads"] for column in table.values()] == [[2, 2], [2], [1, 2]]
    auc = {"value": 0.76, "ratio": 0.76 / 0.8}
    no_value = {"value": None, "ratio": None}
    assert table["student"]["measures"] == {"buys roc_auc": auc, "buys pr_auc": no_value}
    lines = [line.split() for line in format_compression_table(table)]
    assert lines[0] == ["teacher", "student", "pruned"]
    assert lines[2] == ["heads", "left", "4", "2", "3"]
    assert lines[5] == ["texts/s", "100.0", "(1.00)", "250.0", "(2.50)", "110.0", "(1.10)"]
    assert " ".join(lines[7]) == "buys roc_auc 0.8000 (1.000) 0.7600 (0.950) 0.4000 (0.500)"
    assert lines[8] == ["buys", "pr_auc", "–", "–", "–"]
    assert len({len(line) for line in format_compression_table(table)}) == 1


def test_the_lead_over_the_teacher_compares_the_same_rows_in_any_order():
    rng = np.random.default_rng(2)
    labels, hashes = (np.arange(200) % 2), rng.permutation(200)
    right = {"row_hash": hashes, "label": labels, "probability": 0.2 + 0.6 * labels}
    wrong = right | {"probability": 0.8 - 0.6 * labels}
    reversed_rows = {name: column[::-1] for name, column in wrong.items()}
    users = pd.DataFrame({"user_hash": np.arange(200), "device": "app"}, index=range(200))
    empty = {"row_hash": np.zeros(0, int), "label": np.zeros(0), "rank": np.zeros(0)}
    ours, teachers = ({"buys": buys, "next": empty} for buys in (right, reversed_rows))
    report = compare_with_teacher((BUYS, NEXT), ours, teachers, users, 0, 20)
    assert report["next"] == {"kind": "multiclass", "n": 0}
    assert report["buys"]["model"]["roc_auc"] == 1.0
    assert report["buys"]["teacher"]["roc_auc"] == 0.0
    assert report["buys"]["intervals"]["model less teacher"]["roc_auc"] == pytest.approx([1.0, 1.0])
    assert report["buys"]["segments"]["device"]["app"]["n"] == 200
