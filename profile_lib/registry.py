"""Register the implementations of an extension point by name."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Generic, TypeVar

from profile_lib.errors import InputError

Entry = TypeVar("Entry")
Decorated = TypeVar("Decorated")


class Registry(Generic[Entry]):
    """The implementations of one extension point, by the names that a setting uses.

    Each module of `package` is imported at the first look-up, so that a new file in that package
    registers what it decorates without a change elsewhere.
    """

    def __init__(self, setting: str, package: str) -> None:
        self.setting, self.package = setting, package
        self.entries: dict[str, Entry] = {}

    def register(self, *names: str) -> Callable[[Decorated], Decorated]:
        """Return a decorator that registers a class or function under each of `names`.

        Raises ValueError if another one has the name already.
        """

        def decorate(entry: Decorated) -> Decorated:
            for name in names:
                if name in self.entries:
                    raise ValueError(f"{self.setting}: {name} is registered twice")
                self.entries[name] = entry  # type: ignore[assignment]
            return entry

        return decorate

    def names(self) -> list[str]:
        """Return the registered names in alphabetical order."""
        for module in pkgutil.iter_modules(import_module(self.package).__path__):
            import_module(f"{self.package}.{module.name}")
        return sorted(self.entries)

    def get(self, name: str) -> Entry:
        """Return what is registered under `name`. Raises InputError if nothing is."""
        if name not in (names := self.names()):
            raise InputError(f"{self.setting}: found {name}; wanted one of {', '.join(names)}")
        return self.entries[name]
