"""Match the column names of a mapping with those of a file."""

from collections.abc import Sequence


def match_name(name: str, names: Sequence[str]) -> int | None:
    """Return the index of a name, else of one that differs in case alone.

    >>> match_name("uid", ["UID", "uid"]), match_name("uid", ["ts", "UID"]), match_name("x", ["y"])
    (1, 1, None)
    """
    if name in names:
        return list(names).index(name)
    lower = name.lower()
    return next((i for i, other in enumerate(names) if other.lower() == lower), None)


def spellings(name: str, names: Sequence[str]) -> list[str]:
    """Return the names that differ from `name` in case alone.

    >>> spellings("uid", ["UID", "uid", "ts", "Uid"])
    ['UID', 'Uid']
    """
    return sorted(other for other in set(names) if other != name and other.lower() == name.lower())
