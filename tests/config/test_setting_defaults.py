"""Every default is explained, and every setting is read."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

import profile_lib
from profile_lib.config.files import shipped_conf
from profile_lib.config.settings import Settings

DEFAULTS = sorted((shipped_conf() / "base").glob("*.yaml"))
PACKAGE = Path(profile_lib.__file__).parent
# Their values are explained together, in a comment before them.
EXPLAINED_TOGETHER = (
    "recommend.sources.",
    "recommend.reasons.",
    "evaluate.methods.",
    "tune.space.",
)


def leaf_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each key that has a value on its line, as a dotted path, with the line."""
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        key = re.match(r"( *)([\w.]+): *(\S.*)?$", line)
        if key:
            indent, name, rest = len(key[1]), key[2], key[3] or ""
            above = [(depth, parent) for depth, parent in above if depth < indent]
            if rest and not rest.startswith("#"):
                yield ".".join([*(parent for _, parent in above), name]), line
            above.append((indent, name))


@pytest.mark.parametrize("file", DEFAULTS, ids=lambda file: file.name)
def test_every_default_has_a_comment(file):
    unexplained = [
        key
        for key, line in leaf_lines(file.read_text(encoding="utf-8"))
        if "  # " not in line and not key.startswith(EXPLAINED_TOGETHER)
    ]
    assert unexplained == []


def test_every_section_stands_in_one_file():
    sections = Counter(
        name for file in DEFAULTS for name in yaml.safe_load(file.read_text("utf-8"))
    )
    assert sections == Counter(Settings.model_fields.keys())


def setting_names(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield each setting of a section and of the sections in it, with the name of its class."""
    for name, field in model.model_fields.items():
        yield model.__name__, name
        for section in sections_of(field.annotation):
            yield from setting_names(section)


def sections_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_of(argument)


@cache
def names_read() -> set[str]:
    """Return the attributes read and the parameters and fields declared outside of config/, and
    the attributes that a section reads of itself apart from its checks."""
    names = set()
    for file in PACKAGE.rglob("*.py"):
        in_config = file.parent.name == "config"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and in_config and is_check(node):
                node.body = []  # a setting that is only checked is not used
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.arg) and not in_config:
                names.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and not in_config:
                names.add(getattr(node.target, "id", ""))
    return names


def is_check(function: ast.FunctionDef) -> bool:
    return any("validator" in ast.unparse(decorator) for decorator in function.decorator_list)


@pytest.mark.parametrize(("section", "name"), sorted(set(setting_names(Settings))))
def test_every_setting_is_read(section, name):
    assert name in names_read(), f"{section}.{name} changes nothing: use it or remove it"
