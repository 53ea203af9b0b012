"""Test that a student and a pruned model come from a teacher and predict nearly as well."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from profile_lib.config.settings import Settings, load_settings
from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.int8_manifest import INT8_FOLDER
from profile_lib.model.manifest import read_manifest
from profile_lib.model.pruning import count_heads
from profile_lib.pipelines import compress_model
from tests.small_shop import save_plain_model
from tests.worlds import CONF, read_loss_curve


@pytest.fixture(scope="session")
def settings(colour_settings) -> Callable[..., Settings]:
    def build(*changes: str) -> Settings:
        return colour_settings(
            "compress.student_name=student", "compress.pruned_name=pruned",
            "compress.student_layers=1", "compress.pruned_share=0.25", "compress.lr=0.001",
            "compress.epochs=2", "compress.importance_rows=200", "compress.speed_rows=50",
            "compress.speed_repeats=1", *changes,
        )  # fmt: skip

    return build


@pytest.fixture(scope="module")
def compressed(colours, settings, trained_model) -> Path:
    """The folder of all three models."""
    compress_model.run(colours, settings("compress.negative_downsampling_rate=0.8"))
    return trained_model.parent


@pytest.mark.trial
def test_the_student_has_fewer_layers_and_the_pruned_model_fewer_heads(compressed):
    student, spec, manifest = load_model(str(compressed / "student"))
    assert (len(student.bert.encoder.layer), count_heads(student.bert)) == (1, [2])
    assert manifest.table_versions == {"examples": 1}
    pruned, spec, _ = load_model(str(compressed / "pruned"))
    assert sorted(count_heads(pruned.bert)) == [1, 2]
    assert sorted(map(len, spec.heads_left)) == [1, 2]
    teacher_files = {path.name for path in (compressed / "trained_model").iterdir()} - {INT8_FOLDER}
    assert {path.name for path in (compressed / "pruned").iterdir()} == teacher_files
    student_files = {path.name for path in (compressed / "student").iterdir()}
    assert student_files == teacher_files | {"compression.json"}
    assert read_manifest(str(compressed / "student")).spec.tasks == spec.tasks


@pytest.mark.trial
def test_the_table_compares_size_speed_and_quality_of_all_three(compressed):
    table = json.loads((compressed / "student" / "compression.json").read_text())
    assert list(table) == ["teacher", "student", "pruned"]
    teacher, student, pruned = table.values()
    assert [column["name"] for column in table.values()] == ["trained_model", "student", "pruned"]
    assert [column["layers"] for column in table.values()] == [2, 1, 2]
    assert [sum(column["heads"]) for column in table.values()] == [4, 2, 3]
    head = 3 * (32 * 16 + 16) + 16 * 32  # query, key and value with biases, and the output
    assert teacher["encoder_parameters"] - pruned["encoder_parameters"] == head
    layer = 2 * head + 32 + 2 * 32 * 64 + 64 + 32 + 4 * 32
    assert teacher["encoder_parameters"] - student["encoder_parameters"] == layer
    size = (compressed / "student" / "model.safetensors").stat().st_size / 1e6
    assert student["megabytes"] == pytest.approx(size, rel=0.01)
    assert teacher["speed_ratio"] == 1.0
    assert teacher["vector_cosine"] == pytest.approx(1.0)
    assert list(teacher["measures"]) == [
        "buys roc_auc", "buys pr_auc", "colour accuracy", "colour mrr", "colours roc_auc",
        "colours pr_auc", "spend rmse", "spend mae",
    ]  # fmt: skip
    for column in (student, pruned):
        report = json.loads((compressed / column["name"] / "report.json").read_text())["tasks"]
        auc, teacher_auc = (each["measures"]["buys roc_auc"] for each in (column, teacher))
        assert auc["value"] == report["buys"]["model"]["roc_auc"]
        assert teacher_auc["value"] == report["buys"]["teacher"]["roc_auc"]
        assert auc["ratio"] == auc["value"] / teacher_auc["value"]
        assert "roc_auc" in report["buys"]["intervals"]["model less teacher"]


@pytest.mark.trial
def test_the_teachers_metrics_equal_those_of_the_network_in_its_own_report(compressed):
    table = json.loads((compressed / "student" / "compression.json").read_text())
    report = json.loads((compressed / "trained_model" / "report.json").read_text())["tasks"]
    for name, cell in table["teacher"]["measures"].items():
        task, metric = name.split()
        assert cell["value"] == pytest.approx(
            report[task].get("network", report[task]["model"])[metric], abs=1e-6
        )


@pytest.mark.trial
def test_both_models_have_their_teachers_trees_and_weights_of_their_own(compressed):
    models = [
        load_model(str(compressed / name))[0] for name in ("trained_model", "student", "pruned")
    ]
    teacher, *others = (model.baselines["buys"] for model in models)
    for baselines in others:
        assert torch.equal(baselines.trees.threshold, teacher.trees.threshold)
        assert not torch.equal(baselines.weight, teacher.weight)
        assert (baselines.weight >= 0).all()


@pytest.mark.trial
def test_both_models_predict_nearly_as_well_as_their_teacher(compressed):
    table = json.loads((compressed / "student" / "compression.json").read_text())
    for kind in ("student", "pruned"):
        measures = table[kind]["measures"]
        assert measures["buys roc_auc"]["ratio"] > 0.97
        assert measures["colour accuracy"]["ratio"] > 0.97
        assert measures["spend rmse"]["ratio"] < 1.1
        assert table[kind]["vector_cosine"] > 0.9


@pytest.mark.trial
def test_an_interrupted_compression_resumes_to_the_same_loss_curves(
    colours, settings, compressed, capsys, caplog
):
    """The copied run lacks the student's last checkpoint, so it resumes at the previous one."""
    changes = (
        "compress.student_name=student_again", "compress.pruned_name=pruned_again",
        "compress.negative_downsampling_rate=0.8",
    )  # fmt: skip
    same = settings(*changes)
    with pytest.raises(InputError, match="train_student_again/pruned: no training was begun here"):
        compress_model.run(colours, same, resume=True)
    work = Path(same.paths.work)
    shutil.copytree(work / "train_student", work / "train_student_again")
    checkpoints = (work / "train_student_again" / "student" / "checkpoints").glob("step-*")
    before, last = sorted(checkpoints)
    shutil.rmtree(last)
    other = settings(*changes, "compress.pruned_share=0.5")
    with pytest.raises(InputError, match="other settings: compress.pruned_share was 0.25, is 0.5"):
        compress_model.run(colours, other, resume=True)
    other = settings(*changes, "compress.temperature=9")
    with pytest.raises(InputError, match="another run: distillation was .*'temperature': 2.0"):
        compress_model.run(colours, other, resume=True)
    capsys.readouterr()
    caplog.clear()
    compress_model.run(colours, same, resume=True)
    progress = capsys.readouterr().out + caplog.text
    assert f"resumed at step {int(before.name.removeprefix('step-'))}" in progress
    for kind in ("student", "pruned"):
        assert read_loss_curve(compressed / f"{kind}_again") == read_loss_curve(compressed / kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training.name=never"], "models/never: no model.json; run train_model first"),
        (["compress.student_layers=2"], "student_layers: 2, but the teacher has 2 layers; wanted"),
        (["compress.pruned_share=0.9"], "pruned_share: 0.9 of 4 heads are 4; wanted 1 to 2"),
        (["compress.pruned_share=0.1"], "pruned_share: 0.1 of 4 heads are 0; wanted 1 to 2"),
        (
            ["compress.pruned_name=trained_model"],
            "teacher trained_model, student none, pruned trained_model; wanted three",
        ),
    ],
)
def test_a_missing_teacher_an_impossible_size_and_a_repeated_name_are_refused(
    colours, settings, trained_model, changes, message
):
    with pytest.raises(InputError, match=message):
        compress_model.run(colours, settings("compress.student_name=none", *changes))
    assert not (trained_model.parent / "none").exists()


def test_a_teacher_without_text_is_refused(colours, settings):
    numbers_only = settings("training.name=numbers")
    save_plain_model(Path(numbers_only.paths.models) / "numbers")
    with pytest.raises(InputError, match="numbers-.*: reads no text, so it has no encoder to make"):
        compress_model.run(colours, numbers_only)


def test_a_distillation_without_any_loss_is_refused():
    weights = [f"compress.{part}_weight=0" for part in ("labels", "teacher", "distance")]
    with pytest.raises(InputError, match="wanted labels_weight, teacher_weight or distance_weight"):
        load_settings(str(CONF / "dev.yaml"), weights)
