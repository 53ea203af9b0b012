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
    row_text,
)
from profile_lib.spark.column_shapes import quote_name


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
    columns = {name: F.col(quote_name(name)) for name in rows.columns}
    return rows.select(
        *columns.values(),
        F.lit(f"{path}#{batch_id}").alias(FILE),
        F.monotonically_increasing_id().alias(POSITION),
        F.lit(now).alias(ARRIVAL),
        row_text(columns).alias(ROW),
        F.lit(None).cast("string").alias(PROBLEM),
    )
