"""Hash texts, JSON values, files and folders with SHA-256."""

import hashlib
import json
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
