"""A checkpoint is complete or missing, on a local disk and on a file system of Hadoop."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.training.checkpoints import STATE_FILE, TENSORS_FILE, Checkpoints, TrainingState

RUN = {"model": "shop-1", "epochs": 2}
WEIGHTS = {"model.w": torch.arange(3.0), "optimizer.w/step": torch.tensor(4.0)}


def state_at(step: int) -> TrainingState:
    return TrainingState(stage=1, epoch=0, batch=step, steps_done=step, curve=[0.5] * step)


@pytest.fixture(params=["local", "hadoop"])
def path(request, tmp_path, spark) -> str:
    """Return the path of a folder, or its URI, which Hadoop's file system reads."""
    return str(tmp_path / "c") if request.param == "local" else (tmp_path / "c").as_uri()


def test_the_last_checkpoint_is_loaded_and_only_the_last_two_are_kept(path, tmp_path):
    checkpoints = Checkpoints(path, RUN)
    assert checkpoints.load_last() is None
    for step in (3, 6, 9, 12):
        checkpoints.write(state_at(step), {**WEIGHTS, "model.w": torch.full((2,), float(step))})
    state, tensors = Checkpoints(path, RUN).load_last()
    assert state == state_at(12)
    assert tensors["model.w"].tolist() == [12.0, 12.0]
    names = {p.name for p in (tmp_path / "c").iterdir() if not p.name.startswith(".")}
    assert names == {"step-000000009", "step-000000012"}
    checkpoints.clear()
    assert checkpoints.load_last() is None


def test_the_error_for_a_checkpoint_of_another_run_names_what_differs(path):
    Checkpoints(path, RUN).write(state_at(1), WEIGHTS)
    other = Checkpoints(path, {"model": "shop-2", "epochs": 2})
    with pytest.raises(InputError, match="of another run: model was shop-1, is shop-2. Train wi"):
        other.load_last()


def test_a_checkpoint_whose_tensors_were_changed_is_refused(tmp_path):
    Checkpoints(str(tmp_path), RUN).write(state_at(1), WEIGHTS)
    file = tmp_path / "step-000000001" / TENSORS_FILE
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(
        InputError, match=f"{TENSORS_FILE} is not what was written; remove the folder"
    ):
        Checkpoints(str(tmp_path), RUN).load_last()


def test_an_incomplete_checkpoint_is_skipped(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), RUN)
    checkpoints.write(state_at(1), WEIGHTS)
    (tmp_path / "step-000000002.writing").mkdir()
    (tmp_path / "step-000000003").mkdir()  # on an object store files appear one by one
    assert checkpoints.load_last().state == state_at(1)
    checkpoints.write(state_at(2), WEIGHTS)
    assert json.loads((tmp_path / "step-000000002" / STATE_FILE).read_text())["run"] == RUN


def test_tensors_that_share_memory_are_both_saved(tmp_path):
    shared = torch.arange(4.0)
    Checkpoints(str(tmp_path), RUN).write(state_at(1), {"a": shared, "b": shared})
    _, tensors = Checkpoints(str(tmp_path), RUN).load_last()
    assert torch.equal(tensors["a"], tensors["b"])


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # Hadoop keeps files open


@pytest.mark.parametrize("scheme", ["local", "hadoop"])
def test_a_full_disk_is_reported_and_the_last_checkpoint_is_kept(small_disk, scheme, spark):
    path = str(small_disk) if scheme == "local" else Path(small_disk).as_uri()
    checkpoints = Checkpoints(path, RUN)
    checkpoints.write(state_at(1), WEIGHTS)
    with pytest.raises(InputError, match=r"small: No space left on device; free some, or set"):
        checkpoints.write(state_at(2), {"model.w": torch.zeros(1 << 20)})
    assert checkpoints.load_last().state == state_at(1)
