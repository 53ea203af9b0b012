"""A job's process ends with the exit code that a scheduler reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from profile_lib.training.training_lock import lock_training_name

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_job(tmp_path):
    """Run a job as a process, with all its data in an empty folder."""

    def run(name: str, *values: str) -> subprocess.CompletedProcess[str]:
        paths = [
            f"paths.{kind}={tmp_path / kind}" for kind in ("tables", "identity", "models", "work")
        ]
        changes = [part for value in (*paths, *values) for part in ("--set", value)]
        command = [sys.executable, str(ROOT / "jobs" / f"{name}.py"), "--config", "dev", *changes]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    return run


def test_a_job_that_did_its_work_exits_with_0_and_prints_no_error(run_job, tmp_path):
    raw = [f"simulate.{kind}_path={tmp_path / kind}" for kind in ("events", "truth")]
    done = run_job("simulate_events", "simulate.n_users=5", *raw)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("simulate_events: done in 0:")


def test_a_job_whose_input_is_missing_exits_with_2_and_one_sentence(run_job, tmp_path):
    done = run_job("build_sessions")
    assert done.returncode == 2
    assert done.stderr == (
        f"build_sessions: events: no table at {tmp_path / 'tables' / 'events'}; "
        "run the job that writes it first\n"
    )


def test_a_job_that_finds_a_lock_exits_with_75(run_job, tmp_path):
    with lock_training_name("profiles", str(tmp_path / "models")):
        done = run_job("train_model", "training.name=profiles")
    assert done.returncode == 75
    assert "another training of this name is running; wait for it" in done.stderr


def test_a_job_that_fails_for_another_reason_exits_with_1_and_a_traceback(run_job, tmp_path):
    log = tmp_path / "tables" / "events" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no commit\n")
    done = run_job("build_sessions")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
