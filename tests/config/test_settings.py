"""Settings are strict, and say which key is wrong."""

from pathlib import Path

import pytest

from profile_lib.config.settings import load_settings, with_values
from profile_lib.errors import InputError
from profile_lib.training.distributed.launch import check_batch_division

CONF = Path(__file__).parents[2] / "conf"
DEMO = str(CONF / "demo.yaml")


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda p: p.name)
def test_every_settings_file_that_comes_along_is_whole(path):
    settings = load_settings(str(path))
    assert settings.sessions.gap_minutes == 30
    given = settings.training
    check_batch_division(
        given.batch_size, given.numeric_batch_size, given.shards, given.n_processes
    )


def test_a_file_changes_its_base_and_set_changes_both():
    settings = load_settings(DEMO, ["sessions.gap_minutes=20", "training.epochs=5"])
    assert settings.paths.tables == "data/demo/tables"
    assert settings.sessions.gap_minutes == 20
    assert settings.training.epochs == 5
    assert settings.spark.conf["spark.ui.enabled"] == "false"


def test_sparks_own_settings_are_set_by_their_whole_names():
    given = ["spark.conf.spark.driver.memory=8g", "spark.conf.spark.ui.enabled=true"]
    conf = load_settings(DEMO, given).spark.conf
    assert conf["spark.driver.memory"] == "8g"
    assert conf["spark.ui.enabled"] == "true"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("sessions.gap=20", "sessions.gap: no such key; conf/base.yaml holds every key"),
        (
            "sessions.gap_minutes=long",
            "sessions.gap_minutes: found 'long', Input should be a valid number",
        ),
        (
            "sessions.gap_minutes=-1",
            "sessions.gap_minutes: found '-1', Input should be greater than 0",
        ),
        ("sessions", "wanted section.key=value"),
        ("paths.tables.x=1", "tables holds a value, not keys"),
    ],
)
def test_a_key_that_is_wrong_is_named(override, told):
    with pytest.raises(InputError, match=told):
        load_settings(DEMO, [override])


def test_a_missing_key_is_named(tmp_path):
    (tmp_path / "x.yaml").write_text("spark: {master: local, log_level: WARN, conf: {}}")
    with pytest.raises(InputError, match="paths: Field required"):
        load_settings(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize(
    ("content", "told"), [("a: [", "not YAML"), ("- a", "wanted sections of keys, found list")]
)
def test_a_file_that_is_no_settings_file_is_told(tmp_path, content, told):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(InputError, match=told):
        load_settings(str(tmp_path / "x.yaml"))


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(InputError, match="conf/nothing.yaml: no such settings file"):
        load_settings("conf/nothing.yaml")


def test_values_are_changed_by_their_keys_and_wrong_ones_are_told():
    settings = load_settings(DEMO)
    changed = with_values(settings, {"training.tuning.rank": 4, "model.text": False})
    assert (changed.training.tuning.rank, changed.model.text) == (4, False)
    assert settings.training.tuning.rank == 8
    with pytest.raises(InputError, match=r"training.tuning.depth: .*no such key"):
        with_values(settings, {"training.tuning.depth": 4})
    with pytest.raises(InputError, match="wanted text, numbers or both"):
        with_values(settings, {"model.text": False, "model.numbers": False})


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ("{b: 0.5, c: 0.5}", "wanted shares of 'a', the control, and of other arms"),
        ("{a: 1.0}", "wanted shares of 'a', the control, and of other arms"),
        ("{a: 0.5, b: 0.4}", "wanted shares above 0 that add up to 1"),
        ("{a: 1.0, b: 0.0}", "wanted shares above 0 that add up to 1"),
    ],
)
def test_an_experiment_divides_its_users_among_the_control_and_others(shares, told):
    experiment = f"{{control: a, shares: {shares}, ctr_effect: 0.01, revenue_effect: 1.0}}"
    with pytest.raises(InputError, match=f"feedback.experiments.x: found .*{told}"):
        load_settings(DEMO, [f"feedback.experiments={{x: {experiment}}}"])
