"""Check the settings of a recommender's candidate sources and their reasons."""

from collections.abc import Mapping

from profile_lib.config.recommend import RecommendSettings
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.registry import SourceSpec, read_source_specs
from profile_lib.recommend.candidates.source import Need

SHOP_DATA = frozenset(
    {Need.TEXTS, Need.INTERESTS, Need.EVENTS}
)  # what sources can be fitted to here


def read_recommend_sources(given: RecommendSettings) -> dict[str, SourceSpec]:
    """Check `recommend.sources` against the registry. Raises InputError that names the key."""
    specs = read_source_specs(given.chosen, "recommend.sources", SHOP_DATA)
    choose_reasons(specs, given.reasons)
    return specs


def choose_reasons(specs: Mapping[str, SourceSpec], reasons: Mapping[str, str]) -> dict[str, str]:
    """Return each source's sentence: of the settings, or else of its kind.

    Raises InputError if neither has one.
    """
    sentences = {name: reasons.get(name) or s.source.default_reason for name, s in specs.items()}
    if missing := sorted(name for name, sentence in sentences.items() if sentence is None):
        raise InputError(
            f"recommend.reasons: found none for {', '.join(missing)}, whose kind has no sentence; "
            "wanted one of each source"
        )
    return {name: sentence for name, sentence in sentences.items() if sentence is not None}
