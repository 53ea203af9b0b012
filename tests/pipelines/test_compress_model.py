"""A trained model made smaller: a student and a pruned one that answer nearly as it does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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
    def make(*changes: str) -> Settings:
        return colour_settings(
            "compress.student_name=student", "compress.pruned_name=pruned",
            "compress.student_layers=1", "compress.pruned_share=0.25", "compress.lr=0.001",
            "compress.epochs=2", "compress.importance_rows=200", "compress.speed_rows=50",
            "compress.speed_repeats=1", *changes,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def compressed(colours, settings, trained_model) -> Path:
    """The folder of all three models."""
    compress_model.run(colours, settings("compress.negative_downsampling_rate=0.8"))
    return trained_model.parent


def test_the_student_has_fewer_layers_the_pruned_model_fewer_heads_and_both_are_whole(compressed):
    student, spec, manifest = load_model(str(compressed / "student"))
    assert (len(student.bert.encoder.layer), count_heads(student.bert)) == (1, [2])
    assert manifest.table_versions == {"examples": 1}
    pruned, spec, _ = load_model(str(compressed / "pruned"))
    assert sorted(count_heads(pruned.bert)) == [1, 2]
    assert sorted(map(len, spec.heads_left)) == [1, 2]
    theirs = {path.name for path in (compressed / "trained_model").iterdir()} - {INT8_FOLDER}
    assert {path.name for path in (compressed / "pruned").iterdir()} == theirs
    assert {p.name for p in (compressed / "student").iterdir()} == theirs | {"compression.json"}
    assert read_manifest(str(compressed / "student")).spec.tasks == spec.tasks


def test_the_table_tells_size_speed_and_quality_of_all_three_beside_each_other(compressed):
    table = json.loads((compressed / "student" / "compression.json").read_text())
    assert list(table) == ["teacher", "student", "pruned"]
    teacher, student, pruned = table.values()
    assert [of["name"] for of in table.values()] == ["trained_model", "student", "pruned"]
    assert [of["layers"] for of in table.values()] == [2, 1, 2]
    assert [sum(of["heads"]) for of in table.values()] == [4, 2, 3]
    head = 3 * (32 * 16 + 16) + 16 * 32  # query, key and value with their biases, and the way out
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
    for of in (student, pruned):
        report = json.loads((compressed / of["name"] / "report.json").read_text())["tasks"]
        auc, wanted = of["measures"]["buys roc_auc"], teacher["measures"]["buys roc_auc"]
        assert auc["value"] == report["buys"]["model"]["roc_auc"]
        assert wanted["value"] == report["buys"]["teacher"]["roc_auc"]
        assert auc["ratio"] == auc["value"] / wanted["value"]
        assert "roc_auc" in report["buys"]["intervals"]["lead"]


def test_the_teachers_measures_are_those_of_its_own_report(compressed):
    table = json.loads((compressed / "student" / "compression.json").read_text())
    report = json.loads((compressed / "trained_model" / "report.json").read_text())["tasks"]
    for name, of in table["teacher"]["measures"].items():
        task, measure = name.split()
        assert of["value"] == pytest.approx(report[task]["model"][measure], abs=1e-6)


def test_both_answer_nearly_as_their_teacher_does(compressed):
    table = json.loads((compressed / "student" / "compression.json").read_text())
    for kind in ("student", "pruned"):
        measures = table[kind]["measures"]
        assert measures["buys roc_auc"]["ratio"] > 0.97
        assert measures["colour accuracy"]["ratio"] > 0.97
        assert measures["spend rmse"]["ratio"] < 1.1
        assert table[kind]["vector_cosine"] > 0.9


def test_a_run_that_ended_early_is_resumed_to_the_same_models(
    colours, settings, compressed, capsys
):
    """Of a copy of it the student's last checkpoint is gone, which leaves the one before."""
    changes = (
        "compress.student_name=student_again", "compress.pruned_name=pruned_again",
        "compress.negative_downsampling_rate=0.8",
    )  # fmt: skip
    given = settings(*changes)
    with pytest.raises(InputError, match="train_student_again/pruned: no training was begun here"):
        compress_model.run(colours, given, resume=True)
    work = Path(given.paths.work)
    shutil.copytree(work / "train_student", work / "train_student_again")
    checkpoints = (work / "train_student_again" / "student" / "checkpoints").glob("step-*")
    before, last = sorted(checkpoints)
    shutil.rmtree(last)
    other = settings(*changes, "compress.pruned_share=0.5")
    with pytest.raises(InputError, match="other settings: compress.pruned_share was 0.25, is 0.5"):
        compress_model.run(colours, other, resume=True)
    other = settings(*changes, "compress.temperature=9")
    with pytest.raises(InputError, match="another run: teaching was .*'temperature': 2.0"):
        compress_model.run(colours, other, resume=True)
    capsys.readouterr()
    compress_model.run(colours, given, resume=True)
    assert f"resumed at step {int(before.name.removeprefix('step-'))}" in capsys.readouterr().out
    for kind in ("student", "pruned"):
        assert read_loss_curve(compressed / f"{kind}_again") == read_loss_curve(compressed / kind)


@pytest.mark.parametrize(
    ("changes", "told"),
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
def test_what_cannot_be_made_smaller_is_told(colours, settings, trained_model, changes, told):
    with pytest.raises(InputError, match=told):
        compress_model.run(colours, settings("compress.student_name=none", *changes))
    assert not (trained_model.parent / "none").exists()


def test_a_teacher_without_text_is_told(colours, settings):
    given = settings("training.name=numbers")
    save_plain_model(Path(given.paths.models) / "numbers")
    with pytest.raises(InputError, match="numbers-.*: reads no text, so it has no encoder to make"):
        compress_model.run(colours, given)


def test_a_distillation_from_nothing_is_refused():
    nothing = [f"compress.{part}_weight=0" for part in ("labels", "teacher", "distance")]
    with pytest.raises(InputError, match="wanted labels_weight, teacher_weight or distance_weight"):
        load_settings(str(CONF / "dev.yaml"), nothing)
