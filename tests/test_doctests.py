"""The examples in docstrings hold; those of column functions use the suite's session."""

import doctest
import importlib
import pkgutil

import pytest

import profile_lib

MODULES = [module.name for module in pkgutil.walk_packages(profile_lib.__path__, "profile_lib.")]


@pytest.mark.parametrize("name", MODULES)
def test_the_doctests_of_each_module_pass(spark, name):
    result = doctest.testmod(importlib.import_module(name), extraglobs={"spark": spark})
    assert result.failed == 0
