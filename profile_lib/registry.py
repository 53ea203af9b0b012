"""Register the implementations of an extension point by name."""

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from profile_lib.errors import InputError, wanted_one_of

Entry = TypeVar("Entry")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Registry(Generic[Entry]):
    """The implementations of one extension point, by the names that a setting uses.

    An entry is a class or a function. The modules of `package` are imported at the first look-up,
    so that a new file in that package registers what it decorates without a change elsewhere. A
    class of another module is registered after those of the package, once its module is imported.
    """

    def __init__(self, setting: str, package: str) -> None:
        self.setting, self.package = setting, package
        self.by_name: dict[str, Entry] = {}

    def register(self, *names: str) -> Callable[[Decorated], Decorated]:
        """Return a decorator that registers a class or function under each of `names`.

        A definition that is loaded again, in a notebook's cell or a Python worker of Spark,
        replaces its earlier self. Raises ValueError if another definition has one of the names, or
        if a name is repeated.
        """

        def decorate(entry: Decorated) -> Decorated:
            if not entry.__module__.startswith(f"{self.package}."):
                import_modules(self.package)
            definition = describe_definition(entry)
            for name in names:
                other = describe_definition(self.by_name.get(name, entry))
                if other != definition or names.count(name) > 1:
                    raise ValueError(
                        f"{self.setting}: {name} is registered twice, as {other} and {definition}; "
                        "wanted a name of its own for each"
                    )
            self.by_name |= dict.fromkeys(names, entry)  # type: ignore[arg-type]
            return entry

        return decorate

    def all(self) -> dict[str, Entry]:
        """Return all entries by name, in the order of their registration."""
        import_modules(self.package)
        return dict(self.by_name)

    def names(self) -> list[str]:
        """Return the registered names in alphabetical order."""
        return sorted(self.all())

    def get(self, name: str) -> Entry:
        """Return what is registered under `name`. Raises InputError if nothing is."""
        entries = self.all()
        if name not in entries:
            raise InputError(f"{self.setting}: found {name}; {wanted_one_of(self.names(), name)}")
        return entries[name]


@cache
def import_modules(package: str) -> None:
    """Import a package, then each of its modules by name."""
    for module in pkgutil.iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")


def describe_definition(entry: Any) -> str:
    """Return where a class or function is defined: its module and its name there."""
    return f"{entry.__module__}.{entry.__qualname__}"
