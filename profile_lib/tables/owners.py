"""Find the people whom each row of a declared table is about."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.tables.people import CARRIERS
from profile_lib.tables.table import COMPOSITE_SEPARATOR, Table

PERSON_COLUMNS = ("user_id", "other_id", "person_id")


def mentioned_ids(table: Table) -> list[str]:
    """Return the columns that name ids besides those of the row's owners.

    A row is complete without them.
    """
    return [name for name in CARRIERS.values() if name in table.column_names()]


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
