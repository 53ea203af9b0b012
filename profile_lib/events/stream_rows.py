"""Give the rows of a stream the columns that all raw rows have."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.events.formats.registry import (
    ARRIVAL,
    FILE,
    POSITION,
    PROBLEM,
    ROW,
    add_place,
)


def message_rows(messages: DataFrame) -> DataFrame:
    """Return the raw rows of Kafka messages: their place is topic, partition and offset."""
    return messages.select(
        F.concat_ws("/", "topic", "partition").alias(FILE),
        F.col("offset").alias(POSITION),
        F.col("timestamp").alias(ARRIVAL),
        F.col("value").cast("string").alias(ROW),
        F.lit(None).cast("string").alias(PROBLEM),
    )


def table_rows(rows: DataFrame, path: str, batch_id: str, now: datetime) -> DataFrame:
    """Return the rows of a batch of a Delta table with RAW_COLUMNS.

    Their place is the path, the batch's id and a number.
    """
    file = F.lit(f"{path}#{batch_id}")
    return add_place(rows, file, F.monotonically_increasing_id(), F.lit(now))
