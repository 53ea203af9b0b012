"""Register candidate sources by kind, and read their settings.

A new source is one file of this package, or any module that is imported:

    class NewestSettings(Section):
        days: int

    @candidate_source("newest", NewestSettings)
    @dataclass(frozen=True)
    class Newest(CandidateSource):
        item_age: np.ndarray
        default_reason = "new in the shop"
        ...
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from profile_lib.config.section import Section
from profile_lib.errors import InputError, describe_invalid_keys, wanted_one_of
from profile_lib.recommend.candidates.source import CandidateSource, Need, SourceData
from profile_lib.registry import Registry

AnySource = TypeVar("AnySource", bound=CandidateSource)

CANDIDATE_SOURCES: Registry[type[CandidateSource]] = Registry(
    "recommend.sources.*.kind", "profile_lib.recommend.candidates"
)


def candidate_source(
    kind: str, settings_type: type[Section]
) -> Callable[[type[AnySource]], type[AnySource]]:
    """Register the decorated class under a kind.

    Raises ValueError if another class has the kind.
    """

    def register(source: type[AnySource]) -> type[AnySource]:
        source.kind, source.settings_type = kind, settings_type
        return CANDIDATE_SOURCES.register(kind)(source)

    return register


def register_sources(sources: Mapping[str, type[CandidateSource]]) -> None:
    """Register in a worker the classes of its driver, by kind."""
    for kind, source in sources.items():
        CANDIDATE_SOURCES.register(kind)(source)


def registered_sources() -> dict[str, type[CandidateSource]]:
    """Return all registered classes by kind, in alphabetical order."""
    return dict(sorted(CANDIDATE_SOURCES.all().items()))


@dataclass(frozen=True)
class SourceSpec:
    """A class of sources with its settings: an entry of `recommend.sources`."""

    source: type[CandidateSource]
    settings: Section

    def fit(self, data: SourceData) -> CandidateSource:
        """Fit the source to a shop's data."""
        return self.source.fit(data, self.settings)


def read_source_specs(
    entries: Mapping[str, Mapping[str, Any] | None], where: str, available: frozenset[Need]
) -> dict[str, SourceSpec]:
    """Check the settings of named sources against the registry.

    Entries of None are left out. `available`: what the data at hand offers of
    `CandidateSource.needs`. Raises InputError, which names the key below `where`, for an unknown
    kind, an unknown, missing or invalid key, a source that needs more than is available, and one
    that combines sources it cannot.
    """
    specs = {
        name: _read_spec(entry, f"{where}.{name}", available)
        for name, entry in entries.items()
        if entry is not None
    }
    for name, spec in specs.items():
        for other in spec.source.sources_combined(spec.settings):
            if other not in specs:
                raise InputError(
                    f"{where}.{name}: found {other!r}, wanted names of {where}: "
                    f"{', '.join(sorted(specs))}"
                )
            if Need.VALIDATION in specs[other].source.needs:
                raise InputError(
                    f"{where}.{name}: {other!r} chooses by the validation items itself; wanted "
                    "sources that are fitted to histories alone"
                )
    return specs


def _read_spec(entry: Mapping[str, Any], where: str, available: frozenset[Need]) -> SourceSpec:
    registered = registered_sources()
    sources = {kind: source for kind, source in registered.items() if source.needs <= available}
    values = dict(entry)
    kind = values.pop("kind", "nothing")
    if kind in registered and kind not in sources:
        missing = ", ".join(sorted(registered[kind].needs - available))
        raise InputError(
            f"{where}.kind: found {kind}, which needs {missing}, missing here; "
            f"{wanted_one_of(sources)}"
        )
    if kind not in sources:
        raise InputError(f"{where}.kind: found {kind}; {wanted_one_of(sources, kind)}")
    try:
        settings = sources[kind].settings_type.model_validate(values)
    except ValidationError as error:
        raise InputError(describe_invalid_keys(error, where)) from error
    return SourceSpec(sources[kind], settings)
