"""Check the command line that all jobs share: arguments, exit codes and output."""

import json
import logging
import runpy
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from profile_lib import cli
from profile_lib.errors import ConcurrentWriteError, InputError, TryAgainError
from profile_lib.training.training_lock import lock_training_name

ROOT = Path(__file__).parents[1]
JOBS = sorted(path for path in (ROOT / "jobs").glob("*.py") if path.stem != "__init__")
DATED_JOBS = {
    "build_behaviour", "build_examples", "build_sessions", "compress_model", "ingest_events",
    "pretrain_encoder", "record_feedback", "refresh_profiles", "train_model", "tune_model",
}  # fmt: skip


@pytest.fixture(autouse=True)
def restored_logging():
    """Leave the root logger as it was before the test."""
    root, project = logging.getLogger(), logging.getLogger("profile_lib")
    handlers, level = list(root.handlers), project.level
    yield
    root.handlers[:] = handlers
    project.setLevel(level)


@pytest.fixture
def run_main(spark, tmp_path):
    """Run a job in this process, with tables in an empty folder."""

    def run(job, *arguments: str, **options: object) -> None:
        config = ["--config", "dev", "--set", f"paths.tables={tmp_path}"]
        cli.main("job", job, "Do it.", argv=[*config, *arguments], **options)

    return run


def test_a_job_gets_its_store_settings_date_and_flags(run_main, tmp_path):
    calls = []

    def job(store, settings, **options):
        calls.append((settings.paths.tables, options))

    run_main(job, "--date", "2026-01-02", "--once", date_help="of this day", flags={"once": "stop"})
    assert calls == [(str(tmp_path), {"day": date(2026, 1, 2), "once": True})]


def test_a_job_that_depends_on_the_time_gets_the_moment_of_its_start(run_main):
    moments = []
    before = datetime.now(UTC)
    run_main(lambda store, settings, now: moments.append(now), takes_now=True)
    assert before <= moments[0] <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("the disk is full"), 2),
        (ConcurrentWriteError("events: lost 8 times"), 75),
        (TryAgainError("shop: another training of this name is running"), 75),
    ],
)
def test_an_expected_error_is_printed_as_one_sentence_and_sets_the_exit_code(
    run_main, capsys, error, code
):
    def job(*_):
        raise error

    with pytest.raises(SystemExit) as exit:
        run_main(job)
    assert exit.value.code == code
    assert capsys.readouterr().err == f"job: {error}\n"


def test_any_other_error_keeps_its_traceback(run_main):
    def job(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_main(job)


def test_an_error_in_a_worker_is_reported_as_the_sentence_it_holds(run_main, capsys, spark):
    def refuse(batches):
        raise InputError("items: no vector of shoe")
        yield from batches

    def job(store, settings):
        store.spark.range(1).mapInArrow(refuse, "id long").collect()

    with pytest.raises(SystemExit) as exit:
        run_main(job)
    assert exit.value.code == 2
    assert capsys.readouterr().err.endswith("job: items: no vector of shoe\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config", "nothing"],
        ["--config", "dev", "--set", "sesions.gap_minutes=3"],
        ["--config", "dev", "--date", "yesterday"],
        ["--config", "dev", "--unknown"],
    ],
    ids=" ".join,
)
def test_a_wrong_argument_or_setting_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main("job", lambda *_: None, None, date_help="of this day", argv=arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err


def test_a_second_training_of_a_name_exits_with_the_code_for_try_again(run_main, tmp_path):
    def job(*_):
        with lock_training_name("shop", str(tmp_path / "models")):
            pass

    with (
        lock_training_name("shop", str(tmp_path / "models")),
        pytest.raises(SystemExit) as exit,
    ):
        run_main(job)
    assert exit.value.code == 75


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_job_explains_its_exit_codes_and_takes_a_date_only_if_it_reads_one(
    path, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(path), run_name="__main__")
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert "75  try again" in text
    assert ("--date" in text) == (path.stem in DATED_JOBS)


def test_messages_are_plain_lines_and_warnings_name_the_job(run_main, capsys):
    def job(*_):
        log = logging.getLogger("profile_lib.pipelines.some_job")
        log.info("  3 of 4 buckets")
        log.debug("not of interest")
        log.warning("the stream is late")
        logging.getLogger("other.library").info("loaded")
        logging.getLogger("other.library").warning("deprecated")

    run_main(job)
    printed = capsys.readouterr()
    assert printed.out == "  3 of 4 buckets\njob: done in 0:00\n"
    assert printed.err == "job: the stream is late\nWARNING other.library: deprecated\n"


def test_messages_are_json_lines_if_the_settings_want_them(run_main, capsys):
    def job(*_):
        log = logging.getLogger("profile_lib.pipelines.some_job")
        log.info("  3 of 4 buckets", extra={"fields": {"done": 3, "total": 4}})

    run_main(job, "--set", "logging.format=json")
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info", "job": "job", "logger": "profile_lib.pipelines.some_job",
        "message": "3 of 4 buckets", "done": 3, "total": 4,
    }  # fmt: skip
    assert last["message"] == "job: done in 0:00"
