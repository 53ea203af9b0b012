"""A registry finds the modules of its package by itself, and refuses what it does not know."""

import importlib
import sys

import pytest

from profile_lib.errors import InputError
from profile_lib.registry import Registry, import_modules

MODULE = """
from fruit_registry import FRUIT
FRUIT.imports.append(__name__)


@FRUIT.register({names})
class {cls}:
    pass
"""


@pytest.fixture
def fruit(tmp_path, monkeypatch):
    """A registry of a package with the modules apple and pear."""
    registry = Registry("basket.fruit", "fruit_package")
    registry.imports = []
    (tmp_path / "fruit_registry.py").write_text("FRUIT = None")
    (tmp_path / "fruit_package").mkdir()
    (tmp_path / "fruit_package" / "__init__.py").touch()
    for module, names in (("pear", '"pear", "nashi"'), ("apple", '"apple"')):
        content = MODULE.format(names=names, cls=module.title())
        (tmp_path / "fruit_package" / f"{module}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("fruit_registry").FRUIT = registry
    yield registry
    for name in [name for name in sys.modules if name.startswith("fruit_")]:
        del sys.modules[name]
    import_modules.cache_clear()


class Plum:
    """A class outside the package."""


def test_the_modules_of_the_package_are_imported_at_the_first_look_up(fruit):
    assert fruit.imports == []
    assert fruit.names() == fruit.names() == ["apple", "nashi", "pear"]
    assert fruit.imports == ["fruit_package.apple", "fruit_package.pear"]


def test_an_entry_has_all_the_names_it_is_registered_under(fruit):
    assert fruit.get("nashi") is fruit.get("pear")


def test_a_class_of_another_module_follows_those_of_the_package(fruit):
    fruit.register("Plum")(Plum)
    assert list(fruit.all()) == ["apple", "pear", "nashi", "Plum"]


def test_an_unknown_name_is_refused_with_all_names_and_the_nearest(fruit):
    message = r"basket.fruit: found aple; wanted one of apple, nashi, pear; did you mean apple\?$"
    with pytest.raises(InputError, match=message):
        fruit.get("aple")


def test_a_name_unlike_all_others_gets_no_hint(fruit):
    with pytest.raises(InputError, match="found x; wanted one of apple, nashi, pear$"):
        fruit.get("x")


@pytest.mark.parametrize("names", [("apple",), ("kiwi", "apple"), ("kiwi", "kiwi")])
def test_a_name_that_is_already_registered_is_refused(fruit, names):
    with pytest.raises(ValueError, match=f"basket.fruit: {names[-1]} is registered twice, as "):
        fruit.register(*names)(Plum)
    assert fruit.names() == ["apple", "nashi", "pear"]


def test_a_class_that_is_loaded_again_replaces_its_earlier_definition(fruit):
    again = type("Plum", (), {"__qualname__": Plum.__qualname__, "__module__": Plum.__module__})
    fruit.register("plum")(Plum)
    fruit.register("plum")(again)
    assert fruit.get("plum") is again
