"""Find the people whom each row of a declared table is about."""

from collections.abc import Iterator
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.tables.people import CARRIERS
from profile_lib.tables.table import COMPOSITE_SEPARATOR, Table

PERSON_COLUMNS = ("user_id", "other_id", "person_id")


class Mention(NamedTuple):
    """An id that a row names besides its owners.

    `cleared` is the value of the column without the id.
    """

    column: str
    id: Column
    cleared: Column


def mentions(table: Table) -> Iterator[Mention]:
    """Yield the ids that rows name besides their owners: of devices and browsers.

    A row is complete without them. They are in columns of their own, or in a row of `events` that
    is stored as JSON.
    """
    for name in CARRIERS.values():
        if name in table.column_names():
            yield Mention(name, F.col(name), F.lit(None).cast("string"))
        for column in table.columns:
            if column.pii == "event row":
                found = F.get_json_object(column.name, f"$.{name}")
                # In a text, the quotes of such a pair would have backslashes.
                cleared = F.regexp_replace(column.name, f'("{name}":)"[0-9a-f]*"', "$1null")
                yield Mention(column.name, found, cleared)


def row_owners(table: Table) -> list[Column]:
    """Return the pseudonyms of a row's people; none if rows are about nobody.

    They follow from the marks of the columns. Raises ValueError if columns hold personal data, but
    none has a person's pseudonym.
    """
    marks = {column.name: column.pii for column in table.columns if column.pii is not None}
    owners = [F.col(name) for name in PERSON_COLUMNS if marks.get(name) == "pseudonym"]
    if owners:
        return owners
    for name, kind in marks.items():
        if kind == "composite pseudonym":
            return [F.substring_index(F.col(name), COMPOSITE_SEPARATOR, 1)]
    if marks:
        raise ValueError(
            f"{table.name}: {', '.join(marks)} hold personal data, but no column names the user; "
            "declare a column user_id with the mark pseudonym, so that people can be erased"
        )
    return []
