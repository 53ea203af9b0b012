"""Define the errors that a user can fix; their message is a complete sentence."""

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails


class InputError(ValueError):
    """Invalid input: where, what was found, what was wanted, what to do."""


class DivergedError(InputError):
    """A training whose loss is no longer a number, because of its settings."""


class TryAgainError(InputError):
    """A temporary failure: the same run may succeed later."""


class ConcurrentWriteError(TryAgainError):
    """A write that lost to another writer at every attempt."""


class LockedError(TryAgainError):
    """Another process holds what this one needs; it succeeds when that process has ended."""


def wanted_one_of(names: Iterable[str], found: object = "") -> str:
    """Describe which names were wanted, and the one most like what was found.

    >>> wanted_one_of(["torch_bf16", "torch_fp32"], "torch_fp23")
    'wanted one of torch_bf16, torch_fp32; did you mean torch_fp32?'
    """
    choices = list(names)
    return f"wanted one of {', '.join(choices)}{did_you_mean(found, choices)}"


def did_you_mean(found: object, names: Iterable[str], n: int = 1) -> str:
    """Suggest up to `n` names that are most like `found`; '' if none is.

    >>> did_you_mean("pruchase", ["view", "purchase"])
    '; did you mean purchase?'
    """
    nearest = get_close_matches(str(found), list(names), n)
    return f"; did you mean {' or '.join(nearest)}?" if nearest else ""


def describe_invalid_keys(error: ValidationError, section: str = "") -> str:
    """Describe each invalid key of a document: what was found there, and what was wanted.

    `section` is the dotted name of the document, if it is a section of a larger one.
    """
    descriptions = []
    for detail in error.errors():
        keys = [*section.split("."), *map(str, detail["loc"])] if section else detail["loc"]
        where = f"{'.'.join(map(str, keys))}: " if keys else ""  # a document as a whole has no key
        descriptions.append(f"{where}{_describe_problem(detail)}")
    return "; ".join(descriptions)


def _describe_problem(detail: ErrorDetails) -> str:
    """Describe one problem of a document.

    The checks of this package say themselves what they found; their error is a value_error.
    """
    match detail["type"]:
        case "extra_forbidden":
            return "no such key"
        case "missing":
            return detail["msg"]
        case "value_error":
            return str(detail["ctx"]["error"])
    return f"found {str(detail['input'])[:40]!r}, {detail['msg']}"
