"""Write YAML with a comment on each line."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Value = str | int | bool | None | list[str] | dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A key with its value, or with lines below it, and a comment."""

    key: str
    value: "Value | tuple[Line, ...]"
    comment: str = ""
    is_off: bool = False  # written as a comment, for a person to switch on


def write_lines(lines: Iterable[Line], depth: int = 0) -> str:
    """Write lines as YAML."""
    return "".join(_write_line(line, depth) for line in lines)


def _write_line(line: Line, depth: int) -> str:
    indent = "  " * depth + ("# " if line.is_off else "")
    comment = f"  # {on_one_line(line.comment)}" if line.comment else ""
    if isinstance(line.value, tuple):
        return f"{indent}{write_value(line.key)}:{comment}\n" + write_lines(line.value, depth + 1)
    return f"{indent}{write_value(line.key)}: {write_value(line.value)}{comment}\n"


def on_one_line(text: str) -> str:
    """Replace line breaks and other control characters, which would end a comment.

    >>> on_one_line("a\\nb\\u2028c")
    'a b c'
    """
    return "".join(sign if sign.isprintable() else " " for sign in text)


def write_value(value: Any, is_inside: bool = False) -> str:
    """Write a value on one line; texts are quoted only if they have to be.

    `is_inside` is whether the value stands in a list or an object on one line.

    >>> print(write_value("f(a, b)"), write_value("a: b"), write_value(["x", "a, b", "1"]))
    f(a, b) "a: b" [x, "a, b", "1"]
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case Mapping():
            pairs = (f"{write_value(k, True)}: {write_value(v, True)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(write_value(inner, True) for inner in value)}]"
    return value if _is_plain(value, is_inside) else _quote(value)


def _quote(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=sys.maxsize).rstrip()


def _is_plain(text: str, is_inside: bool) -> bool:
    """Return whether YAML reads a text as itself."""
    try:
        read = yaml.safe_load(f"[{text}]") if is_inside else [yaml.safe_load(text)]
    except yaml.YAMLError:
        return False
    return read == [text] and " #" not in text
