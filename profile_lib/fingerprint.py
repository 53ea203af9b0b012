"""Hash texts, JSON values, Python code, files and folders with SHA-256."""

import ast
import hashlib
import json
import textwrap
from pathlib import Path
from typing import Any

N_HEX_DIGITS = 64  # of a complete SHA-256


def hash_text(text: str, n_digits: int = N_HEX_DIGITS) -> str:
    """Return the first hex digits of the hash of a text.

    >>> hash_text("profile", 12)
    '1900eab6c028'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:n_digits]


def hash_json(value: Any, n_digits: int = N_HEX_DIGITS) -> str:
    """Return the first hex digits of the hash of a value's sorted JSON.

    Values that JSON doesn't know, such as timedelta, are written as Python prints them.

    >>> hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    True
    """
    return hash_text(json.dumps(value, sort_keys=True, default=str), n_digits)


def hash_code(source: str, n_digits: int = N_HEX_DIGITS) -> str:
    """Return the first hex digits of the hash of Python source, by what it does.

    Comments, docstrings and the layout of lines do not count.

    >>> hash_code("f = lambda x: (x + 1)  # one more") == hash_code("f = lambda x: x + 1")
    True
    """
    tree = ast.parse(textwrap.dedent(source))
    with_docstring = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, with_docstring) and ast.get_docstring(node) is not None:
            del node.body[0]
    return hash_text(ast.dump(tree), n_digits)


def hash_file(path: Path) -> str:
    """Return the checksum of a file, 64 hex digits."""
    return _digest(path).hexdigest()


def hash_folder(folder: Path, n_digits: int = N_HEX_DIGITS) -> str:
    """Return the first hex digits of a hash of a folder's files."""
    combined = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        combined.update(path.name.encode())
        combined.update(_digest(path).digest())
    return combined.hexdigest()[:n_digits]


def _digest(path: Path) -> "hashlib._Hash":
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
