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

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from profile_lib.config.section import Section
from profile_lib.errors import InputError, describe_invalid_keys
from profile_lib.recommend.candidates.source import CandidateSource, Need, SourceData

AnySource = TypeVar("AnySource", bound=CandidateSource)

_REGISTERED: dict[str, type[CandidateSource]] = {}


def candidate_source(
    kind: str, settings_type: type[Section]
) -> Callable[[type[AnySource]], type[AnySource]]:
    """Register the decorated class under a kind.

    Raises ValueError if another class has the kind.
    """

    def register(source: type[AnySource]) -> type[AnySource]:
        source.kind, source.settings_type = kind, settings_type
        register_sources({kind: source})
        return source

    return register


def register_sources(sources: Mapping[str, type[CandidateSource]]) -> None:
    """Register classes by kind: in a worker, those of its driver."""
    for kind, source in sources.items():
        other = _REGISTERED.get(kind, source)
        if (other.__module__, other.__qualname__) != (source.__module__, source.__qualname__):
            raise ValueError(f"kind {kind!r}: both {other} and {source}; wanted one class per kind")
        _REGISTERED[kind] = source


def registered_sources() -> dict[str, type[CandidateSource]]:
    """Return all registered classes by kind, those of this package included."""
    _import_package()
    return dict(sorted(_REGISTERED.items()))


@cache
def _import_package() -> None:
    """Import the modules of this package, except the packages within it."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg:
            importlib.import_module(f"{package.__name__}.{module.name}")


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
    sources = {
        kind: source for kind, source in registered_sources().items() if source.needs <= available
    }
    values = dict(entry)
    kind = values.pop("kind", None)
    if kind not in sources:
        close = get_close_matches(str(kind), sources, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        found = "no kind" if kind is None else f"found {kind!r}"
        registered = registered_sources().get(str(kind))
        if registered is not None:
            missing = ", ".join(sorted(registered.needs - available))
            hint = f"; this kind needs {missing}, which there is none of here"
        raise InputError(f"{where}.kind: {found}, wanted one of {', '.join(sources)}{hint}")
    try:
        settings = sources[kind].settings_type.model_validate(values)
    except ValidationError as error:
        raise InputError(describe_invalid_keys(error, where)) from error
    return SourceSpec(sources[kind], settings)
