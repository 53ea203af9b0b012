"""Check the settings of a recommender's candidate sources and reasons."""

from collections.abc import Mapping

from profile_lib.config.recommend import RecommendSettings
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.registry import SourceSpec, read_source_specs
from profile_lib.recommend.candidates.source import Need

# The data in addition to histories that a recommender's sources can be fitted to.
SHOP_DATA = frozenset({Need.TEXTS, Need.INTERESTS, Need.EVENTS})


def read_recommend_sources(config: RecommendSettings) -> dict[str, SourceSpec]:
    """Check `recommend.sources` against the registry, and that each source has a reason.

    Raises InputError, which names the key, if a setting is invalid or a reason is missing.
    """
    specs = read_source_specs(config.chosen, "recommend.sources", SHOP_DATA)
    choose_reasons(specs, config.reasons)
    return specs


def choose_reasons(specs: Mapping[str, SourceSpec], reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the sentence of each source, from `reasons` or else the default of its kind.

    Raises InputError if neither has one.
    """
    sentences = {name: reasons.get(name) or s.source.default_reason for name, s in specs.items()}
    if missing := sorted(name for name, sentence in sentences.items() if sentence is None):
        raise InputError(
            f"recommend.reasons: found none for {', '.join(missing)}, whose kind has no default; "
            "wanted one for each source"
        )
    return {name: sentence for name, sentence in sentences.items() if sentence is not None}
