"""Hash the code of profiles and lists, which are computed again if it changes."""

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

from profile_lib.features.numeric.registry import registered_features
from profile_lib.fingerprint import hash_code, hash_json
from profile_lib.registry import describe_definition

# Modules, and packages with all their modules, that decide what the facts of a profile are.
PROFILE_CODE = (
    "profile_lib.arrays",
    "profile_lib.features",
    "profile_lib.people.persons",
    "profile_lib.pipelines.person_data",
    "profile_lib.profiles.build",
    "profile_lib.session_rule",
    "profile_lib.spark.ranked_classes",
    "profile_lib.spark.timestamps",
    "profile_lib.tables.events",
    "profile_lib.tables.features",
    "profile_lib.tables.histories",
)
# The same for the list of a profile.
LIST_CODE = ("profile_lib.arrays", "profile_lib.recommend", "profile_lib.pipelines.eligibility")
VERSION_DIGITS = 7  # hexadecimal digits of a version, which has to fit an INT


def find_profile_version() -> int:
    """Return the version of the code that computes the facts of profiles.

    It covers PROFILE_CODE and each registered numeric feature, also one of another module.
    """
    features = registered_features()
    return find_code_version(
        PROFILE_CODE, {describe_definition(f): inspect.getsource(f) for f in features}
    )


def find_code_version(names: Iterable[str], more_sources: dict[str, str] | None = None) -> int:
    """Return a hash of the code of modules and packages, and of `more_sources` by name.

    Comments and docstrings do not count. Raises ImportError if a module has no source.
    """
    sources = {module: _read_source(module) for name in names for module in _list_modules(name)}
    hashes = {name: hash_code(source) for name, source in (sources | (more_sources or {})).items()}
    return int(hash_json(hashes, VERSION_DIGITS), 16)


def _list_modules(name: str) -> Iterator[str]:
    """Yield a module, or a package and all modules in it."""
    yield name
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        package = import_module(name)
        yield from (module.name for module in walk_packages(package.__path__, f"{name}."))


def _read_source(module: str) -> str:
    """Return a module's source without importing it, which can take seconds.

    A zip may hold the module. Raises ImportError if it has no source.
    """
    spec = find_spec(module)
    get_source = getattr(spec.loader, "get_source", None) if spec is not None else None
    source = get_source(module) if get_source is not None else None
    if source is None:
        raise ImportError(f"{module}: found no source code; install the package with its .py files")
    return str(source)
