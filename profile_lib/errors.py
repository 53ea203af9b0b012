"""The one error that a user can mend: jobs print it as a sentence and end with exit code 1."""

from pydantic import ValidationError


class InputError(ValueError):
    """Bad input; the message says where, what was found, what was wanted and what to do."""


class DivergedError(InputError):
    """A training whose loss is no number any more: its settings are bad, not its place or data."""


class TryAgainError(InputError):
    """A failure that passes by itself: the same run, started later, may succeed."""


class ConcurrentWriteError(TryAgainError):
    """A write that lost against another one as often as it was tried."""


class LockedError(TryAgainError):
    """Another process holds what this one needs; it succeeds when that process has ended."""


def describe_invalid_keys(error: ValidationError) -> str:
    """Each key of a document that is wrong, with what was found there and what was wanted."""
    told = []
    for wrong in error.errors():
        found = "" if wrong["type"] == "missing" else f"found {str(wrong['input'])[:40]!r}, "
        unknown = wrong["type"] == "extra_forbidden"
        wanted = "no such key" if unknown else f"{found}{wrong['msg']}"
        told.append(f"{'.'.join(map(str, wrong['loc']))}: {wanted}")
    return "; ".join(told)
