"""Repeat a write that lost to a concurrent one, and explain why Delta refuses rows."""

import random
import re
import time
from collections.abc import Callable

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.tables import Table

# Delta's conflicts by the end of their names, which differ between Python's classes, the text of
# Py4J's errors and platforms such as Databricks.
CONFLICT = re.compile(
    r"(Concurrent(?:Append|DeleteRead|DeleteDelete|Transaction|Write)|MetadataChanged|"
    r"ProtocolChanged|DeltaConcurrentModification)Exception|DELTA_TABLE_ALREADY_EXISTS"
)


def commit_with_retries(
    table: Table, write: Callable[[], None], *, max_attempts: int, first_wait_seconds: float
) -> None:
    """Run `write`, which commits completely or not at all, until no other writer comes first.

    The wait doubles with each attempt and varies by half, so that two writers don't meet again.
    Raises ConcurrentWriteError after `max_attempts`, and InputError if Delta refuses the rows.
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
                    f"{table.name}: another writer came first {max_attempts} times, last a "
                    f"{conflict.group()}; nothing was written: run this again when the other is "
                    "done, or raise store.max_attempts"
                ) from error
        time.sleep(wait_seconds * random.uniform(0.5, 1.5))
        attempt, wait_seconds = attempt + 1, wait_seconds * 2


def _as_input_error(table: Table, message: str) -> InputError | None:
    """Return Delta's refusal of rows as one sentence; None if `message` is another error's."""
    if "NOT_NULL_CONSTRAINT" in message:
        line = next(line for line in message.splitlines() if "NOT_NULL_CONSTRAINT" in line)
        return InputError(f"{table.name}: null in a required column: {line}")
    if "MULTIPLE_SOURCE_ROW" in message:
        return InputError(f"{table.name}: several rows for one {', '.join(table.key)} in one write")
    return None
