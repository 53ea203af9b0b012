"""A run continues where it failed, and reports the time left."""

import pytest

from profile_lib.config.files import shipped_conf
from profile_lib.config.settings import Settings, load_settings
from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.pipelines import run_all, train_model
from profile_lib.pipelines.run_all import Stage, run_fingerprint, run_stages, stages_for
from profile_lib.pipelines.run_state import RunState
from tests.worlds import NOW


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load_settings("dev", [f"paths.work={tmp_path}"])


class Job:
    """A job that records the options of its calls."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[dict[str, object]] = []

    def __call__(self, store, settings, **options) -> None:
        self.calls.append(options)
        if self.error is not None:
            raise self.error


def state_of(settings: Settings, fingerprint: str = "x") -> RunState:
    return RunState(settings.paths.work, fingerprint)


def test_a_run_continues_at_the_stage_that_failed(settings, caplog):
    first, second = Job(), Job()
    broken = Stage("build_examples", Job(InputError("the disk is full")), None, 0.5)
    stages = [Stage("ingest_events", first, None, 0.5), Stage("build_examples", second, None, 0.5)]
    with pytest.raises(InputError, match="the disk is full"):
        run_stages(None, settings, state_of(settings), [stages[0], broken], NOW)
    assert state_of(settings).done == ["ingest_events"]
    caplog.clear()
    run_stages(None, settings, state_of(settings), stages, NOW)
    assert (len(first.calls), len(second.calls)) == (1, 1)
    assert "done before, skipped" in caplog.messages[0]


def test_a_complete_run_is_followed_by_one_from_the_beginning(settings):
    job = Job()
    stages = [Stage("ingest_events", job, None, 1.0)]
    for _ in range(2):
        run_stages(None, settings, state_of(settings), stages, NOW)
    assert len(job.calls) == 2


def test_only_stages_that_take_it_get_the_moment_of_the_run(settings):
    simulation, ingestion = Job(), Job()
    stages = [
        Stage("simulate_events", simulation, None, 0.5),
        Stage("ingest_events", ingestion, None, 0.5, takes_now=True),
    ]
    run_stages(None, settings, state_of(settings), stages, NOW)
    assert (simulation.calls, ingestion.calls) == ([{}], [{"now": NOW}])


def test_a_run_with_other_settings_starts_from_the_beginning(settings):
    state_of(settings).finish("ingest_events")
    assert state_of(settings, "other settings").done == []


@pytest.mark.parametrize(("has_checkpoint", "options"), [(True, {"resume": True}), (False, {})])
def test_a_failed_training_continues_from_its_last_checkpoint_if_there_is_one(
    settings, monkeypatch, has_checkpoint, options
):
    monkeypatch.setattr(train_model, "can_resume", lambda settings: has_checkpoint)
    failing, job = Job(InputError("the disk is full")), Job()

    def train(job: Job) -> None:
        run_stages(None, settings, state_of(settings), [Stage("train_model", job, None, 1.0)], NOW)

    with pytest.raises(InputError, match="the disk is full"):
        train(failing)
    train(job)
    assert (failing.calls, job.calls) == ([{}], [options])


def test_each_stage_except_the_last_reports_the_time_left(settings, caplog, monkeypatch):
    moments = iter([0.0, 0.0, 10.0, 10.0, 40.0])
    monkeypatch.setattr(run_all.time, "monotonic", lambda: next(moments))
    stages = [Stage("ingest_events", Job(), None, 0.2), Stage("train_model", Job(), None, 0.6)]
    run_stages(None, settings, state_of(settings), stages, NOW)
    assert caplog.messages == [
        "[1/2] ingest_events     …",
        "[1/2] ingest_events        0:10                     about 0:30 left",
        "[2/2] train_model       …",
        "[2/2] train_model          0:30",
    ]


def test_a_failure_keeps_its_error_class_and_says_how_to_continue(settings, monkeypatch):
    failing = Stage("ingest_events", Job(ConcurrentWriteError("events: lost 8 times")), None, 1.0)
    monkeypatch.setattr(run_all, "STAGES", [failing])
    with pytest.raises(ConcurrentWriteError, match="events: lost 8 times\nrun_all: fix it and run"):
        run_all.run(None, settings, now=NOW)


def test_the_simulator_runs_only_if_its_events_are_ingested(settings):
    real = load_settings("dev", ["ingest.inputs.events=clicks"])
    assert stages_for(settings)[0].name == "simulate_events"
    assert stages_for(real)[0].name == "ingest_events"


def test_the_fingerprint_follows_the_contents_of_the_mapping_and_not_its_path(tmp_path):
    mapping = (shipped_conf() / "sources" / "simulated.yaml").read_text()

    def fingerprint(name: str, content: str, *overrides: str) -> str:
        (tmp_path / name).write_text(content)
        path = f"ingest.mapping={tmp_path / name}"
        return run_fingerprint(load_settings("dev", [path, *overrides]))

    first = fingerprint("a.yaml", mapping)
    assert fingerprint("b.yaml", mapping, "logging.format=json") == first
    assert fingerprint("a.yaml", mapping.replace("item_id: item", "item_id: title")) != first
    assert fingerprint("a.yaml", mapping, "sessions.gap_minutes=5") != first
