"""Training turns examples into a model's folder, on several processes or one."""

import json
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from sklearn.metrics import log_loss

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.inference.predictor import Predictor
from profile_lib.model.checkpoint import load_model
from profile_lib.model.int8_manifest import read_int8_manifest
from profile_lib.model.manifest import check_model
from profile_lib.pipelines import train_model
from profile_lib.pipelines.model_training import fit
from profile_lib.pipelines.quantization import compute_quality_ratios
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.data.snapshot import load_snapshot
from profile_lib.training.data.split_columns import read_columns
from profile_lib.training.distributed.rank_job import INITIAL_MODEL, TrainingResult
from profile_lib.training.loop import ReportProgress
from tests.pipelines.conftest import TASKS
from tests.worlds import read_loss_curve

NUMERIC_FEATURE_NAMES = [column.name for column in NUMERIC_FEATURES]


def fitted(
    store: Store, settings: Settings, report_progress: ReportProgress = log_training_progress
) -> TrainingResult:
    """Train with these settings from the snapshot and initial model of `trained_model`."""
    source, target = (
        Path(settings.paths.work) / f"train_{n}" for n in ("trained_model", settings.training.name)
    )
    shutil.copytree(source / INITIAL_MODEL, target / INITIAL_MODEL)
    snapshot = load_snapshot(str(source / "snapshot"))
    return fit(
        store.spark, settings, target, snapshot, report_progress, skip_baselines=True
    ).outcome


# Horovod's own thread ends with an error when its processes do.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_two_processes_give_the_loss_curve_of_one_even_if_one_of_them_is_killed(
    colours, colour_settings, trained_model
):
    """One of the processes that Horovod started is killed at a random step. Each rank trains on its
    half of a batch in two parts, which must not change the curve either."""
    settings = colour_settings(
        "training.name=killed", "training.n_processes=2", "training.accumulation=2",
        "training.checkpoint_steps=20", "training.progress_steps=1",
    )  # fmt: skip
    step, entries, killed_at = int(np.random.default_rng(5).integers(25, 60)), [], []
    killer = threading.Thread(target=kill_a_process, args=(settings, step, killed_at), daemon=True)
    killer.start()
    killed = fitted(colours, settings, lambda entry: entries.append((time.monotonic(), entry)))
    killer.join(1)
    assert not killer.is_alive()
    assert len(killed.curve) > 100
    np.testing.assert_allclose(killed.curve, read_loss_curve(trained_model), atol=1e-4)
    lost = next(i for i, (_, entry) in enumerate(entries) if "lost_process" in entry)
    resumed_at = next(e["resumed_at_step"] for _, e in entries[lost:] if "resumed_at_step" in e)
    assert step - 20 <= resumed_at
    next_step = next(at for at, entry in entries[lost:] if "step" in entry)
    assert next_step - killed_at[0] < 300  # seconds, on a machine that other tests share


def kill_a_process(settings: Settings, step: int, killed_at: list[float]) -> None:
    """Wait until the checkpoints pass `step`, then kill the youngest rank."""
    folder = Path(settings.paths.work) / "train_killed" / "checkpoints"
    while not any(int(p.name[5:]) >= step - 20 for p in folder.glob("step-" + 9 * "[0-9]")):
        time.sleep(0.02)
    descendants = {p.pid for p in psutil.Process().children(recursive=True)}
    ranks = [
        p
        for p in psutil.process_iter(["cmdline", "create_time"])
        if p.pid in descendants
        and "horovod.spark.task.gloo_exec_fn" in " ".join(p.info["cmdline"] or ())
        and p.info["cmdline"][0].endswith("python")
    ]
    killed_at.append(time.monotonic())
    max(ranks, key=lambda p: p.info["create_time"]).kill()


def test_a_training_that_failed_is_resumed_to_the_same_curve_by_the_same_settings_only(
    colours, colour_settings, trained_model
):
    def broken(*changes: str) -> Settings:
        name = "training.name=broken"
        return colour_settings(name, "training.checkpoint_steps=10", *changes)

    with pytest.raises(ZeroDivisionError), patch_progress(fails_at=50):
        train_model.run(colours, broken())
    model = Path(broken().paths.models) / "broken"
    assert not model.exists()
    other = broken("training.encoder_lr=0.1")
    with pytest.raises(InputError, match="of another run: encoder_lr was 0.003, is 0.1. Train wi"):
        train_model.run(colours, other, resume=True)
    other = broken("model.dropout=0.5")
    with pytest.raises(InputError, match="begun with other settings: model.dropout was 0.0, is 0"):
        train_model.run(colours, other, resume=True)
    other = broken("training.shuffle_rows=128")
    with pytest.raises(
        InputError, match="of another run: shuffle_rows was 256, is 128. Train without"
    ):
        train_model.run(colours, other, resume=True)
    train_model.run(colours, broken(), resume=True)
    assert read_loss_curve(model) == read_loss_curve(trained_model)


@contextmanager
def patch_progress(fails_at: int):
    """Make the progress report of a step fail, as a full log disk would."""

    def fail(entry):
        return 1 / 0 if entry.get("step") == fails_at else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_model, "log_training_progress", fail)
        yield


def test_an_ablation_measures_text_and_numbers_alone(colours, colour_settings):
    variants = (
        "training.ablations={numbers only: {model.text: false}, text only: {model.numbers: false, "
        "training.numeric_epochs: 0, training.epochs: 6}}"
    )
    changed = ("training.augmentation.deletions=0.2", "training.augmentation.synonyms=0.1")
    settings = colour_settings("training.name=ablated", variants, *changed)
    train_model.run(colours, settings)
    model = Path(settings.paths.models) / "ablated"
    report = json.loads((model / "report.json").read_text())
    ablation = report["ablation"]
    assert list(ablation) == ["as configured", "numbers only", "text only"]
    accuracy = {name: tasks["colour"]["accuracy"] for name, tasks in ablation.items()}
    assert accuracy["numbers only"] < 0.6 < 0.95 < accuracy["text only"]
    auc = {name: tasks["buys"]["roc_auc"] for name, tasks in ablation.items()}
    assert auc["text only"] > auc["numbers only"] + 0.1
    assert ablation["as configured"]["buys"] == report["tasks"]["buys"]["network"]
    assert "text only" in (model / "report.html").read_text()


@pytest.mark.trial
def test_torch_processes_with_checkpoints_on_a_hadoop_file_system_give_the_same_loss_curve(
    colours, colour_settings, trained_model, tmp_path
):
    settings = colour_settings(
        "training.name=remote", "training.launcher=torch", "training.n_processes=2",
        "training.accumulation=2", "training.checkpoint_steps=50",
        f"training.checkpoint_path={(tmp_path / 'remote').as_uri()}",
    )  # fmt: skip
    curve = fitted(colours, settings).curve
    np.testing.assert_allclose(curve, read_loss_curve(trained_model), atol=1e-4)
    checkpoints = {p.name for p in (tmp_path / "remote" / "train_remote").glob("step-*")}
    assert f"step-{len(curve):09d}" in checkpoints
    assert len(checkpoints) == 2


def test_resuming_a_training_that_was_never_begun_is_refused(colours, colour_settings):
    with pytest.raises(InputError, match=r"no snapshot.json, so there is nothing to resume"):
        train_model.run(colours, colour_settings("training.name=never"), resume=True)


def test_the_model_learns_a_task_of_every_kind_from_text_and_numbers(trained_model):
    report = json.loads((trained_model / "report.json").read_text())["tasks"]
    buys, colour, colours, spend = (report[n] for n in ("buys", "colour", "colours", "spend"))
    assert buys["model"]["roc_auc"] > 0.88 > buys["gradient_boosting"]["roc_auc"] + 0.05
    assert buys["model"]["log_loss"] < min(
        buys[n]["log_loss"] for n in ("network", "numbers_alone")
    )
    assert colour["model"]["accuracy"] > 0.95
    assert 0.4 < colour["most_seen_category"]["accuracy"] < 0.6
    assert colour["model"]["mrr"] > colour["most_seen_category"]["mrr"]
    assert colours["model"]["roc_auc"] > 0.98 > colours["rate_in_train"]["roc_auc"]
    assert spend["n"] == buys["positives"]
    assert spend["model"]["mae"] < 0.7 * spend["mean_of_train"]["mae"]


def test_dropped_negatives_do_not_raise_the_probabilities(colours, colour_settings, trained_model):
    """Each epoch with the text skips four in ten of the users who do not buy."""

    def mean_probability(name: str, rate: float) -> float:
        settings = colour_settings(
            f"training.name={name}", f"training.negative_downsampling_rate={rate}"
        )
        return float(fitted(colours, settings).predictions["buys"]["probability"].mean())

    mean_of_all = mean_probability("all", 1.0)
    assert 0.1 < mean_of_all < 0.2
    # Without the correction it would be 0.07 higher.
    assert mean_probability("dropped", 0.6) == pytest.approx(mean_of_all, abs=0.03)


def test_the_saved_model_predicts_the_joined_scores_that_its_report_measures(
    colour_settings, trained_model
):
    report = json.loads((trained_model / "report.json").read_text())["tasks"]["buys"]
    model, spec, manifest = load_model(str(trained_model))
    assert [baselines.task for baselines in spec.baselines] == ["buys"]
    snapshot = load_snapshot(f"{colour_settings().paths.work}/train_trained_model/snapshot")
    ids, lengths, numeric, labels = read_columns(
        snapshot.split("test"), ("token_ids", "n_tokens", "numeric", "labels"), 10_000
    )
    predictor = Predictor.load(
        str(trained_model), manifest.model_version, runtime="torch_fp32",
        device=torch.device("cpu"), threads=1, batch_tokens=4096, max_events=5,
    )  # fmt: skip
    found = predictor.predict(ids, lengths, numeric)
    probability, label = found.outputs["buys"], labels[:, 0]
    assert log_loss(label, probability) == pytest.approx(report["model"]["log_loss"], abs=1e-5)
    model.set_baselines({})
    alone = model.predict_without_text(torch.from_numpy(numeric))["buys"].sigmoid()
    assert np.abs(alone.detach().numpy() - probability).max() > 0.05


def test_a_network_stays_alone_if_the_settings_or_the_labels_say_so(
    colours, colour_settings, trained_model, caplog
):
    alone = colour_settings("training.name=alone", "training.joins_baselines=false")
    train_model.run(colours, alone)
    folder = f"{alone.paths.models}/alone"
    _, spec, _ = load_model(folder)
    report = json.loads(Path(folder, "report.json").read_text())["tasks"]["buys"]
    assert spec.baselines == ()
    assert report["model"] == report["network"]
    caplog.clear()
    tasks = TASKS[:1] + [
        {"name": "late", "label": "CAST(split = 'train' AND hash(user_id) % 2 = 0 AS int)",
         "kind": "binary", "weight": 0.1},
    ]  # fmt: skip
    one_label = colour_settings("training.name=late", f"model.tasks={json.dumps(tasks)}")
    train_model.run(colours, one_label)
    _, spec, _ = load_model(f"{alone.paths.models}/late")
    assert [baselines.task for baselines in spec.baselines] == ["buys"]
    assert "late: train or validation has one label alone" in caplog.text


def test_the_saved_model_holds_its_spec_table_versions_and_bin_edges(trained_model):
    model, spec, manifest = load_model(str(trained_model))
    assert spec.numeric == tuple(NUMERIC_FEATURE_NAMES)
    assert [(t.name, len(t.classes)) for t in spec.tasks] == [
        ("buys", 0), ("colour", 3), ("colours", 3), ("spend", 0)
    ]  # fmt: skip
    assert manifest.table_versions == {"examples": 1}
    assert manifest.model_version.startswith("trained_model-")
    statistics = json.loads((trained_model / "numbers.json").read_text())
    numbers = {number["name"]: number for number in statistics}
    assert numbers["n_in_cart"]["edges"][:3] == [0.0, 1.0, 2.0]
    assert numbers["cart_value"]["edges"] == []


def test_the_model_has_an_int8_encoder_that_was_evaluated_on_the_test_examples(trained_model):
    manifest = read_int8_manifest(str(trained_model))
    assert manifest.is_accepted
    assert manifest.weights == check_model(str(trained_model)).files["model.safetensors"]
    assert set(manifest.quality_ratios) == {
        "buys roc_auc", "buys pr_auc", "colour accuracy", "colour mrr", "colours roc_auc",
        "colours pr_auc", "spend rmse",
    }  # fmt: skip
    assert 0.9 <= min(manifest.quality_ratios.values()) <= 1
    assert max(manifest.quality_ratios.values()) < 1.1


def test_the_int8_quality_ratio_is_int8_over_fp32_or_fp32_over_int8_for_errors():
    before = {
        "buys": {"kind": "binary", "model": {"roc_auc": 0.9, "log_loss": 0.3}},
        "spend": {"kind": "regression", "model": {"rmse": 2}},
    }
    after = {
        "buys": {"kind": "binary", "model": {"roc_auc": 0.81, "log_loss": 0.4}},
        "spend": {"kind": "regression", "model": {"rmse": 4}},
    }
    assert compute_quality_ratios(before, after) == {"buys roc_auc": 0.9, "spend rmse": 0.5}


def test_shards_that_are_no_multiple_of_the_processes_are_refused(colours, colour_settings):
    indivisible = ("training.n_processes=2", "training.shards=3", "training.batch_size=33")
    with pytest.raises(
        InputError, match=r"training.shards: 3 is no multiple of training.n_processes"
    ):
        train_model.run(colours, colour_settings(*indivisible, "training.numeric_batch_size=66"))


def test_an_encoder_folder_without_weights_is_refused(colours, colour_settings, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds config.json; wanted .*safetensors"):
        train_model.run(colours, colour_settings(f"model.encoder={tmp_path}"))
