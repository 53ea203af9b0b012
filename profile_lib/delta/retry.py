"""Retry a write that lost to a concurrent one, and explain why Delta refuses rows."""

import random
import re
import time
from collections.abc import Callable

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.tables import Table

# The names of Delta's conflicts, matched by their ends: what precedes them differs between Python's
# classes, the text of Py4J's errors and platforms such as Databricks.
CONFLICT = re.compile(
    r"(Concurrent(?:Append|DeleteRead|DeleteDelete|Transaction|Write)|MetadataChanged|"
    r"ProtocolChanged|DeltaConcurrentModification)Exception|DELTA_TABLE_ALREADY_EXISTS"
)


def commit_with_retries(
    table: Table, write: Callable[[], None], *, max_attempts: int, first_wait_seconds: float
) -> None:
    """Run `write`, and retry it if another writer commits first.

    `write` must commit completely or not at all. The wait doubles with each attempt and varies by
    half, so that two writers don't collide again. Raises ConcurrentWriteError if all `max_attempts`
    fail, and InputError if Delta refuses the rows.
    """
    attempt, wait_seconds = 1, first_wait_seconds
    while True:
        try:
            return write()
        except (PySparkException, Py4JError) as error:
            conflict = CONFLICT.search(f"{type(error).__name__} {error}")
            if conflict is None:
                raise _as_input_error(table, str(error)) or error from error
            if attempt >= max_attempts:
                raise ConcurrentWriteError(
                    f"{table.name}: nothing was written, because another writer committed first in "
                    f"each of {max_attempts} attempts (last error: {conflict.group()}); run this "
                    "again when the other writer is done, or raise store.max_attempts"
                ) from error
        time.sleep(wait_seconds * random.uniform(0.5, 1.5))
        attempt, wait_seconds = attempt + 1, wait_seconds * 2


def _as_input_error(table: Table, message: str) -> InputError | None:
    """Return the InputError for rows that Delta refused; None if `message` is another error."""
    if "NOT_NULL_CONSTRAINT" in message:
        line = next(line for line in message.splitlines() if "NOT_NULL_CONSTRAINT" in line)
        return InputError(f"{table.name}: null in a required column: {line}")
    if "MULTIPLE_SOURCE_ROW" in message:
        return InputError(f"{table.name}: several rows for one {', '.join(table.key)} in one write")
    return None
