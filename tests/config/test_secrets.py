"""A secret setting is used, but never printed."""

import pytest

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.errors import InputError

KEY = "a-key-that-nobody-may-see"
NAME = "ingest.pseudonym_key"


@pytest.fixture
def settings() -> Settings:
    return load_settings("dev", [f"{NAME}={KEY}"])


@pytest.mark.parametrize("form", [repr, str, Settings.model_dump, Settings.model_dump_json])
def test_no_form_of_the_settings_shows_the_key(settings, form):
    shown = str(form(settings))
    assert "pseudonym_key" in shown
    assert KEY not in shown


def test_changed_settings_keep_the_key(settings):
    changed = with_values(settings, {"training.epochs": 3})
    assert changed.ingest.pseudonym_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    "override", [f"{NAME}=12345678", f"{NAME}=[12345678]", f"{NAME}.part=12345678"]
)
def test_the_error_about_an_invalid_key_does_not_show_it(override):
    with pytest.raises(InputError, match="pseudonym_key") as error:
        load_settings("dev", [override])
    assert "12345678" not in str(error.value)
