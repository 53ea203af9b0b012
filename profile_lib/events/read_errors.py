"""Explain in one sentence why files cannot be read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from profile_lib.errors import InputError
from profile_lib.events.formats.registry import FORMATS

CUT_OFF = "the file ends too early: it was cut off while it was written or copied"
COMPRESSION_ERRORS = {  # part of Spark's error text → what it means
    "EOFException": CUT_OFF,
    "Unexpected end of": CUT_OFF,
    "not a gzip file": "the name says gzip, the content is not",
    "incorrect header check": "the name says compressed, the content is not",
}
OTHER_ERRORS = {
    "FAILED_READ_FILE": "the content is not what the mapping's format says, or is damaged",
    "URISyntaxException": "a file has a colon in its name, which is not read; rename the file",
}
FILE = re.compile(r"Encountered error while reading file (\S+?)\.?\s")  # in an error of Spark


@contextmanager
def explain_read_errors(label: str, path: str) -> Iterator[None]:
    """Replace errors about unreadable files in the body by an InputError of one sentence.

    It starts with `label` and names `path`. Errors of other kinds pass unchanged.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if "PATH_NOT_FOUND" in text:
            raise InputError(
                f"{label}: nothing at {path}; wanted a file, folder or glob"
            ) from error
        file = FILE.search(text)
        where = path if file is None else file[1]
        for part, meaning in _error_meanings().items():
            if part in text:
                raise InputError(f"{label}: {where} cannot be read: {meaning}") from error
        raise


def _error_meanings() -> dict[str, str]:
    """Return the meanings of parts of error texts, the most specific first."""
    meanings = dict(COMPRESSION_ERRORS)
    for registered in FORMATS.all().values():
        meanings |= registered.read_errors
    return meanings | OTHER_ERRORS
