"""Training from the examples table to a model's folder, on real ranks and in one process."""

import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from jobs import train_model
from jobs.quantizing import shares_kept
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.model.about import check_model
from profile_lib.model.checkpoint import load_model
from profile_lib.model.quantized import read_int8
from profile_lib.store import Store
from profile_lib.tables import NUMERIC_FEATURES
from tests.worlds import colour_encoder, colour_rows, dev_settings, examples_store

NAMES = [column.name for column in NUMERIC_FEATURES]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return colour_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def store(spark, tmp_path_factory) -> Store:
    return examples_store(spark, tmp_path_factory.mktemp("tables"), colour_rows(1500))


@pytest.fixture(scope="module")
def settings(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")

    def make(*changes: str) -> Settings:
        return dev_settings(
            folder,
            f"model.encoder={encoder}", "model.dropout=0.0", "training.epochs=2",
            "training.encoder_lr=0.003", "training.numeric_epochs=3",
            "training.numeric_batch_size=64", "training.window=256", *changes,
        )  # fmt: skip

    return make


def trained(store: Store, settings: Settings) -> Path:
    train_model.run(store, settings, None)
    return Path(settings.paths.models) / settings.training.name


@pytest.fixture(scope="module")
def alone(store, settings) -> Path:
    int8 = ("quantization.make=true", "quantization.quality_kept=0.9")
    return trained(store, settings("training.name=alone", "training.ranks=1", *int8))


def test_two_ranks_give_the_loss_curve_of_one_process(store, settings, alone, capfd):
    """Each rank's half of a batch passes in two parts, which changes nothing either."""
    ranks = trained(
        store, settings("training.name=ranks", "training.ranks=2", "training.accumulation=2")
    )
    one, two = (json.loads((m / "training.json").read_text()) for m in (alone, ranks))
    assert len(one["curve"]) == len(two["curve"]) > 100
    np.testing.assert_allclose(one["curve"], two["curve"], atol=1e-4)
    assert "stage text, epoch 2" in capfd.readouterr().out


def test_torch_ranks_and_parts_of_a_batch_give_the_same_curve_too(store, settings, alone):
    torch_ranks = trained(
        store, settings("training.name=torch", "training.launcher=torch", "training.accumulation=2")
    )
    one, two = (json.loads((m / "training.json").read_text()) for m in (alone, torch_ranks))
    np.testing.assert_allclose(one["curve"], two["curve"], atol=1e-4)


# Horovod's own thread ends with an error when the ranks do.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_killed_rank_is_made_up_for_and_the_curve_is_that_of_an_unbroken_run(
    store, settings, alone, monkeypatch
):
    """The victim is one of the processes that Horovod started, killed at a drawn step."""
    given = settings(
        "training.name=killed", "training.checkpoint_steps=20", "training.progress_steps=1"
    )
    step, told, killed_at = int(np.random.default_rng(5).integers(25, 60)), [], []
    monkeypatch.setattr(
        train_model, "print_progress", lambda entry: told.append((time.monotonic(), entry))
    )
    killer = threading.Thread(target=kill_a_rank, args=(given, step, killed_at), daemon=True)
    killer.start()
    killed = trained(store, given)
    killer.join(1)
    assert not killer.is_alive()
    one, two = (json.loads((m / "training.json").read_text()) for m in (alone, killed))
    np.testing.assert_allclose(one["curve"], two["curve"], atol=1e-4)
    lost = next(i for i, (_, entry) in enumerate(told) if "a rank was lost" in entry)
    resumed_at = next(e["resumed at step"] for _, e in told[lost:] if "resumed at step" in e)
    assert step - 20 <= resumed_at
    next_step = next(at for at, entry in told[lost:] if "step" in entry)
    assert next_step - killed_at[0] < 60  # seconds


def kill_a_rank(given: Settings, step: int, killed_at: list[float]) -> None:
    """Wait until the checkpoints pass `step`, then kill the youngest rank."""
    folder = Path(given.paths.work) / "train_killed" / "checkpoints"
    while not any(int(p.name[5:]) >= step - 20 for p in folder.glob("step-" + 9 * "[0-9]")):
        time.sleep(0.02)
    own = {p.pid for p in psutil.Process().children(recursive=True)}
    ranks = [
        p
        for p in psutil.process_iter(["cmdline", "create_time"])
        if p.pid in own
        and "horovod.spark.task.gloo_exec_fn" in " ".join(p.info["cmdline"] or ())
        and p.info["cmdline"][0].endswith("python")
    ]
    killed_at.append(time.monotonic())
    max(ranks, key=lambda p: p.info["create_time"]).kill()


def test_a_run_that_ended_early_is_resumed_by_hand_to_the_same_curve(store, settings, alone):
    given = settings("training.name=broken", "training.ranks=1", "training.checkpoint_steps=10")
    with pytest.raises(ZeroDivisionError), patch_progress(fails_at=50):
        train_model.run(store, given, None)
    model = Path(given.paths.models) / "broken"
    assert not model.exists()
    with pytest.raises(InputError, match="of another run: encoder_lr was 0.003, is 0.1. Train wi"):
        train_model.run(
            store, settings("training.name=broken", "training.ranks=1", "training.encoder_lr=0.1",
                            "training.checkpoint_steps=10"), None, resume=True)  # fmt: skip
    other = settings("training.name=broken", "training.ranks=1", "model.dropout=0.5")
    with pytest.raises(InputError, match="begun with other settings: model.dropout was 0.0, is 0"):
        train_model.run(store, other, None, resume=True)
    other = settings("training.name=broken", "training.ranks=1", "training.window=128")
    with pytest.raises(InputError, match="of another run: window was 256, is 128. Train without"):
        train_model.run(store, other, None, resume=True)
    train_model.run(store, given, None, resume=True)
    one, two = (json.loads((m / "training.json").read_text()) for m in (alone, model))
    assert one["curve"] == two["curve"]


@contextmanager
def patch_progress(fails_at: int):
    """Progress that breaks the run at a step, as a full log disk or a pulled plug would."""

    def fail(entry):
        return 1 / 0 if entry.get("step") == fails_at else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_model, "print_progress", fail)
        yield


def test_an_ablation_says_what_text_numbers_and_augmentation_are_worth(store, settings):
    variants = (
        "training.ablations={numbers only: {model.text: false}, text only: {model.numbers: false, "
        "training.numeric_epochs: 0, training.epochs: 6}, as it is: "
        "{training.augmentation.deletions: 0.0, training.augmentation.synonyms: 0.0}}"
    )
    changed = ("training.augmentation.deletions=0.2", "training.augmentation.synonyms=0.1")
    given = settings("training.name=ablated", "training.ranks=1", variants, *changed)
    report = json.loads((trained(store, given) / "report.json").read_text())
    found = report["ablation"]
    assert list(found) == ["as configured", "numbers only", "text only", "as it is"]
    accuracy = {name: tasks["next_category"]["accuracy"] for name, tasks in found.items()}
    assert accuracy["numbers only"] < 0.6 < 0.95 < accuracy["text only"]
    auc = {name: tasks["buys"]["roc_auc"] for name, tasks in found.items()}
    assert auc["as it is"] > auc["text only"] > auc["numbers only"] + 0.1
    assert found["as configured"]["buys"] == report["tasks"]["buys"]["model"]
    page = (Path(given.paths.models) / "ablated" / "report.html").read_text()
    assert "text only" in page


def test_checkpoints_of_ranks_lie_on_a_hadoop_file_system_where_asked(
    store, settings, alone, tmp_path
):
    given = settings(
        "training.name=remote", "training.launcher=torch", "training.checkpoint_steps=50",
        f"training.checkpoint_path={(tmp_path / 'remote').as_uri()}",
    )  # fmt: skip
    one, two = (
        json.loads((m / "training.json").read_text()) for m in (alone, trained(store, given))
    )
    np.testing.assert_allclose(one["curve"], two["curve"], atol=1e-4)
    kept = {p.name for p in (tmp_path / "remote" / "train_remote").glob("step-*")}
    assert f"step-{len(two['curve']):09d}" in kept
    assert len(kept) == 2


def test_nothing_is_resumed_where_nothing_was_begun(store, settings):
    with pytest.raises(InputError, match=r"no snapshot.json, so there is nothing to resume"):
        train_model.run(store, settings("training.name=never"), None, resume=True)


def test_the_model_learns_the_world_from_text_and_numbers(alone):
    report = json.loads((alone / "report.json").read_text())["tasks"]
    buys, following = report["buys"], report["next_category"]
    assert buys["model"]["roc_auc"] > 0.88 > buys["gradient_boosting"]["roc_auc"] + 0.05
    assert following["model"]["accuracy"] > 0.95
    assert 0.4 < following["most_seen_category"]["accuracy"] < 0.6
    assert following["model"]["mrr"] > following["most_seen_category"]["mrr"]


def test_dropped_negatives_do_not_raise_the_probabilities(store, settings, alone):
    """Of those who do not buy, four in ten are passed over in each epoch with the text."""
    dropped = trained(
        store, settings("training.name=dropped", "training.ranks=1", "training.negatives_kept=0.6")
    )
    one, two = mean_probability(alone), mean_probability(dropped)
    assert 0.1 < one < 0.2
    assert two == pytest.approx(one, abs=0.03)  # uncorrected it would be 0.07 more


def mean_probability(model: Path) -> float:
    bins = json.loads((model / "report.json").read_text())["tasks"]["buys"]["calibration"]
    return float(np.average([b["probability"] for b in bins], weights=[b["n"] for b in bins]))


def test_a_task_of_every_kind_is_learned_at_once(store, settings):
    tasks = [
        {"name": "buys", "label": "buys", "kind": "binary", "weight": 1.0},
        {"name": "colour", "label": "next_category", "kind": "multiclass", "weight": 1.0},
        {"name": "colours", "label": "next_categories", "kind": "multilabel", "weight": 1.0},
        {"name": "spend", "label": "spend", "kind": "regression", "weight": 1.0,
         "mask": "buys = 1"},
    ]  # fmt: skip
    several = settings("training.name=several", "training.ranks=1", f"model.tasks={tasks}")
    report = json.loads((trained(store, several) / "report.json").read_text())["tasks"]
    assert report["colour"]["model"]["accuracy"] > 0.95
    assert (
        report["colours"]["model"]["roc_auc"] > 0.98 > report["colours"]["rate_in_train"]["roc_auc"]
    )
    assert report["spend"]["n"] == report["buys"]["positives"]
    assert report["spend"]["model"]["mae"] < 0.7 * report["spend"]["mean_of_train"]["mae"]


def test_the_saved_model_is_whole(alone):
    model, spec, about = load_model(str(alone))
    assert spec.numeric == tuple(NAMES)
    assert [(t.name, len(t.classes)) for t in spec.tasks] == [("buys", 0), ("next_category", 3)]
    assert about.table_versions == {"examples": 1}
    assert about.model_version.startswith("alone-")
    numbers = {of["name"]: of for of in json.loads((alone / "numbers.json").read_text())}
    assert numbers["n_in_cart"]["edges"][:3] == [0.0, 1.0, 2.0]
    assert numbers["cart_value"]["edges"] == []


def test_the_encoder_stands_beside_it_in_int8_judged_on_the_test_examples(alone):
    told = read_int8(str(alone))
    assert told.is_accepted
    assert told.weights == check_model(str(alone)).files["model.safetensors"]
    assert set(told.kept) == {
        "buys roc_auc", "buys pr_auc", "next_category accuracy", "next_category mrr"
    }  # fmt: skip
    assert 0.9 <= min(told.kept.values()) <= 1
    assert max(told.kept.values()) < 1.1


def test_what_int8_keeps_is_a_share_of_each_measure_errors_the_other_way_round():
    before = {"buys": {"model": {"roc_auc": 0.9, "log_loss": 0.3}}, "spend": {"model": {"rmse": 2}}}
    after = {"buys": {"model": {"roc_auc": 0.81, "log_loss": 0.4}}, "spend": {"model": {"rmse": 4}}}
    assert shares_kept(before, after) == {"buys roc_auc": 0.9, "spend rmse": 0.5}


def test_a_loss_that_is_not_a_number_stops_and_names_the_step(store, settings):
    wild = settings(
        "training.name=wild", "training.ranks=1", "training.head_lr=1e30", "training.epochs=0"
    )
    with pytest.raises(
        InputError, match=r"the loss is (nan|inf) at numbers, epoch 1, batch \d+ \(rows of"
    ):
        train_model.run(store, wild, None)
    assert not (Path(wild.paths.models) / "wild").exists()


def test_a_task_without_labels_is_told_before_training(store, settings):
    early = settings("training.name=early", "model.tasks=[{name: age, label: age_band, "
                     "kind: multiclass, weight: 1.0}]")  # fmt: skip
    with pytest.raises(InputError, match=r"labels of age \(age_band\) in train: none; wanted two"):
        train_model.run(store, early, None)


def test_shards_that_no_rank_count_divides_are_refused(store, settings):
    with pytest.raises(InputError, match=r"training.shards: 3 is no multiple of training.ranks"):
        train_model.run(store, settings("training.shards=3", "training.batch_size=33",
                                        "training.numeric_batch_size=66"), None)  # fmt: skip


def test_an_encoder_folder_without_weights_is_refused(store, settings, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds config.json; wanted .*safetensors"):
        train_model.run(store, settings(f"model.encoder={tmp_path}"), None)
