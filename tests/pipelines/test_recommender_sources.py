"""Test the check of a recommender's source settings and reasons."""

import pytest

from profile_lib.config.settings import load_settings
from profile_lib.errors import InputError
from profile_lib.pipelines.recommender_sources import choose_reasons, read_recommend_sources
from profile_lib.recommend.candidates.registry import SourceSpec
from tests.recommend.request_rows import FixedSource


def specs_of(*overrides):
    return read_recommend_sources(load_settings("base", overrides).recommend)


def test_the_sources_of_the_default_settings_are_valid():
    assert list(specs_of()) == list(load_settings("base").recommend.chosen)


def test_a_reason_of_the_settings_replaces_that_of_the_kind():
    config = load_settings("base", ["recommend.reasons.popular=many like it"]).recommend
    reasons = choose_reasons(read_recommend_sources(config), config.reasons)
    assert reasons["popular"] == "many like it"
    assert reasons["factors"] == "because you looked at {item}"
    assert reasons["trending"] == "more and more wanted in {place}"


def test_a_source_without_a_reason_is_refused():
    spec = SourceSpec(FixedSource, settings=None)
    with pytest.raises(InputError, match="recommend.reasons: found none for fixed, .* wanted one"):
        choose_reasons({"fixed": spec}, {})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "recommend.sources.popular.kind=demannd",
            r"popular.kind: found demannd; .* did you mean demand\?",
        ),
        ("recommend.sources.popular.rise=true", "recommend.sources.popular.rise: no such key"),
        ("recommend.sources.x={kind: sasrec}", "x.kind: found sasrec, which needs held-out valid"),
    ],
)
def test_an_invalid_source_setting_is_refused_by_its_key(override, message):
    with pytest.raises(InputError, match=message):
        specs_of(override)
