"""Check that the version of the code follows what the code does."""

import importlib
import sys

import pytest

from profile_lib.pipelines.code_version import find_code_version, find_profile_version
from profile_lib.tables.features import NUMERIC_FEATURES

MODULE = '''
"""Double a number."""


def double(x):
    """Return twice the number."""
    return x * 2
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a package with this module and returns its code's version."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "doubling" / "inner"
    folder.mkdir(parents=True)
    for init in (folder, folder.parent):
        (init / "__init__.py").touch()

    def version_with(source: str) -> int:
        (folder / "double.py").write_text(source)
        importlib.invalidate_caches()
        return find_code_version(["doubling"])

    yield version_with
    for name in [name for name in sys.modules if name.split(".")[0] == "doubling"]:
        del sys.modules[name]


def test_a_comment_or_a_docstring_changes_no_version_and_another_result_does(package):
    version = package(MODULE)
    assert package(MODULE.replace("x * 2", "(x * 2)  # twice").replace("Return", "Give")) == version
    assert package(MODULE.replace("x * 2", "x * 3")) != version
    assert package(MODULE) == version
    assert 0 <= version < 2**28  # an INT


FEATURE = '''
from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import LONG, required


@numeric_feature(required("n_things", LONG, "number of things"))
def count_things(log: EventLog) -> FeatureColumns:
    """Count things."""
    yield "n_things", log.pairs.count(log.micros > LIMIT)
'''


def test_the_version_of_profiles_covers_features_that_another_module_registers(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    registry = NUMERIC_FEATURES.registry

    def version_with(limit: str) -> int:
        (tmp_path / "things.py").write_text(FEATURE.replace("LIMIT", limit))
        importlib.invalidate_caches()
        with monkeypatch.context() as patch:
            patch.setattr(registry, "by_name", registry.all())
            patch.delitem(sys.modules, "things", raising=False)
            importlib.import_module("things")
            return find_profile_version()

    without = find_profile_version()
    version = version_with("1")
    assert version_with("(1)") == version
    assert len({without, version, version_with("22")}) == 3
    assert find_profile_version() == without
