"""Renew the pseudonyms of a table's rows after a new version of the key."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.identity import Pseudonyms
from profile_lib.events.validation import INSIDE_ROW, parse_event_row
from profile_lib.tables import Table
from profile_lib.tables.table import COMPOSITE_SEPARATOR, USER_BUCKET, user_bucket


def has_pseudonyms(table: Table) -> bool:
    """Return whether a column of the table holds pseudonyms."""
    return any(column.pii in RENEWALS for column in table.columns)


def renew_rows(rows: DataFrame, table: Table, pseudonyms: Pseudonyms, n_buckets: int) -> DataFrame:
    """Return rows of a table with pseudonyms under the last version of the key.

    The pseudonyms of `rows` are under the version before it. `n_buckets` is the number of buckets
    of users. All columns except pseudonyms and buckets stay as they are.
    """
    renewed = {
        c.name: RENEWALS[c.pii](F.col(c.name), pseudonyms)
        for c in table.columns
        if c.pii in RENEWALS
    }
    frame = pseudonyms.drop_key(pseudonyms.join_key(rows).withColumns(renewed))
    if USER_BUCKET in table.column_names():
        bucket = F.when(F.col(USER_BUCKET).isNotNull(), user_bucket(n_buckets))
        frame = frame.withColumn(USER_BUCKET, bucket)
    return frame.select(*table.column_names())


def _renew_composite(value: Column, pseudonyms: Pseudonyms) -> Column:
    """Renew the pseudonym that ends at the first COMPOSITE_SEPARATOR."""
    hashed = F.substring_index(value, COMPOSITE_SEPARATOR, 1)
    return F.concat(
        pseudonyms.renew(hashed), F.substring(value, F.length(hashed) + 1, F.length(value))
    )


def _renew_event_row(row: Column, pseudonyms: Pseudonyms) -> Column:
    """Renew the pseudonyms in a row of `events` that is stored as JSON."""
    fields = parse_event_row(row)
    values = [
        (pseudonyms.renew(fields[c.name]) if c.pii == "pseudonym" else fields[c.name]).alias(c.name)
        for c in INSIDE_ROW
    ]
    return F.when(row.isNotNull(), F.to_json(F.struct(*values)))


# Kind of personal data → how its pseudonyms are renewed.
RENEWALS: dict[str | None, Callable[[Column, Pseudonyms], Column]] = {
    "pseudonym": lambda value, pseudonyms: pseudonyms.renew(value),
    "composite pseudonym": _renew_composite,
    "event row": _renew_event_row,
}
