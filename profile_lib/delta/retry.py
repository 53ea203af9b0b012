"""A write in, the same write again where a concurrent one came first; refusals as one sentence."""

import random
import re
import time
from collections.abc import Callable

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.tables import Table

# Delta's, by the end of their names: Python's classes, Java's in Py4J's text, a platform's own.
CONFLICT = re.compile(
    r"(Concurrent(?:Append|DeleteRead|DeleteDelete|Transaction|Write)|MetadataChanged|"
    r"ProtocolChanged|DeltaConcurrentModification)Exception|DELTA_TABLE_ALREADY_EXISTS"
)


def commit_with_retries(
    table: Table, write: Callable[[], None], *, max_attempts: int, first_wait_seconds: float
) -> None:
    """Run `write`, which is whole or not at all, until no other writer has come first.

    Between tries it waits twice as long each time, give or take a half, so that two writers part.
    Raises ConcurrentWriteError after so many `max_attempts`, and InputError where Delta refuses the rows.
    """
    for number in range(1, max_attempts + 1):
        try:
            return write()
        except (PySparkException, Py4JError) as error:
            conflict = CONFLICT.search(f"{type(error).__name__} {error}")
            if conflict is None:
                raise _as_input_error(table, str(error)) or error from error
            if number == max_attempts:
                raise ConcurrentWriteError(
                    f"{table.name}: another writer came first {max_attempts} times, last a "
                    f"{conflict.group()}; nothing was written: run this again when the other is "
                    "done, or raise store.max_attempts"
                ) from error
        time.sleep(first_wait_seconds * 2 ** (number - 1) * random.uniform(0.5, 1.5))
    raise AssertionError(f"max_attempts: {max_attempts}")  # conf wants at least one


def _as_input_error(table: Table, text: str) -> InputError | None:
    """Delta's refusal of rows; in a task it arrives as Py4J's error, in planning as Spark's."""
    if "NOT_NULL_CONSTRAINT" in text:
        line = next(part for part in text.splitlines() if "NOT_NULL_CONSTRAINT" in part)
        return InputError(f"{table.name}: null in a required column: {line}")
    if "MULTIPLE_SOURCE_ROW" in text:
        return InputError(f"{table.name}: several rows for one {', '.join(table.key)} in one write")
    return None
