"""Settings are strict, and an error names the wrong key."""

import pytest

from profile_lib.config.files import shipped_conf
from profile_lib.config.settings import load_settings, with_values
from profile_lib.errors import InputError
from profile_lib.training.distributed.launch import check_batch_division


@pytest.mark.parametrize("path", sorted(shipped_conf().glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_settings_file_is_complete(path):
    settings = load_settings(str(path))
    assert settings.sessions.gap_minutes == 30
    training = settings.training
    check_batch_division(
        training.batch_size, training.numeric_batch_size, training.shards, training.n_processes
    )


def test_a_file_overrides_its_base_and_an_argument_overrides_both():
    settings = load_settings("demo", ["sessions.gap_minutes=20", "training.epochs=5"])
    assert settings.paths.tables == "data/demo/tables"
    assert settings.sessions.gap_minutes == 20
    assert settings.training.epochs == 5
    assert settings.spark.conf["spark.ui.enabled"] == "false"


def test_a_spark_setting_is_overridden_by_its_full_name():
    overrides = ["spark.conf.spark.driver.memory=8g", "spark.conf.spark.ui.enabled=true"]
    conf = load_settings("demo", overrides).spark.conf
    assert conf["spark.driver.memory"] == "8g"
    assert conf["spark.ui.enabled"] == "true"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sessions.gap=20", "sessions.gap: no such key; see conf/base/events.yaml for every key"),
        ("sesions.gap=20", "sesions: no such key; see conf/base for every key"),
        (
            "sessions.gap_minutes=long",
            "sessions.gap_minutes: found 'long', Input should be a valid number",
        ),
        (
            "sessions.gap_minutes=-1",
            "sessions.gap_minutes: found '-1', Input should be greater than 0",
        ),
        (
            "behaviour.time_zone=Mars/Olympus",
            "behaviour.time_zone: found 'Mars/Olympus'; wanted the IANA name of a time zone, such "
            "as UTC or Europe/Paris; see conf/base/features.yaml for every key",
        ),
        ("quality.metrics=shop.txt", "quality.metrics: found 'shop.txt', String should match"),
        ("quality.warn_psi=0.3", "found warn_psi 0.3 above alarm_psi 0.25, wanted it at or below"),
        ("sessions", "wanted section.key=value"),
        ("paths.tables.x=1", "tables holds a value, not keys"),
    ],
)
def test_an_error_names_the_wrong_key(override, message):
    with pytest.raises(InputError, match=message):
        load_settings("demo", [override])


def test_an_error_names_the_missing_key(tmp_path):
    (tmp_path / "x.yaml").write_text("spark: {master: local, log_level: WARN, conf: {}}")
    with pytest.raises(InputError, match="paths: Field required"):
        load_settings(str(tmp_path / "x.yaml"))


def test_changed_values_leave_the_original_settings_unchanged():
    settings = load_settings("demo")
    changed = with_values(settings, {"training.tuning.rank": 4, "model.text": False})
    assert (changed.training.tuning.rank, changed.model.text) == (4, False)
    assert (settings.training.tuning.rank, settings.model.text) == (8, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.tuning.depth": 4}, r"training.tuning.depth: .*no such key"),
        ({"model.text": False, "model.numbers": False}, "wanted one or both true"),
    ],
)
def test_a_changed_value_that_is_invalid_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        with_values(load_settings("demo"), changes)


def test_the_days_of_an_evaluation_are_both_given_or_both_null():
    assert load_settings("beauty").evaluate.test_from is None
    with pytest.raises(InputError, match="wanted days for both, or null for both"):
        load_settings("beauty", ["evaluate.test_from='2026-02-15'"])


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ("{b: 0.5, c: 0.5}", "wanted shares of 'a', the control, and of other arms"),
        ("{a: 1.0}", "wanted shares of 'a', the control, and of other arms"),
        ("{a: 0.5, b: 0.4}", "wanted shares above 0 that add up to 1"),
        ("{a: 1.0, b: 0.0}", "wanted shares above 0 that add up to 1"),
    ],
)
def test_an_experiment_needs_the_control_another_arm_and_shares_that_add_up_to_one(shares, message):
    experiment = f"{{control: a, shares: {shares}, ctr_effect: 0.01, revenue_effect: 1.0}}"
    with pytest.raises(InputError, match=f"feedback.experiments.x: found .*{message}"):
        load_settings("demo", [f"feedback.experiments={{x: {experiment}}}"])
