"""Combine frames, and spread their rows over tasks."""

from collections.abc import Sequence
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def union_all(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames; a column that one lacks is null."""
    return reduce(partial(DataFrame.unionByName, allowMissingColumns=True), frames)


def broadcast_if_small(frame: DataFrame, max_rows: int) -> DataFrame:
    """Let joins send a frame of at most `max_rows` rows to each task.

    Its rows are counted here, so the frame should be a checkpoint or cached.
    """
    is_small = frame.limit(max_rows + 1).count() <= max_rows
    return F.broadcast(frame) if is_small else frame


def spread_rows(frame: DataFrame, max_tasks: int) -> DataFrame:
    """Spread rows evenly over `max_tasks` tasks, or one task per row.

    It is for rows that each stand for much work, such as the path of a file. Hashes of so few rows
    would leave tasks without any and give others several. The frame is computed once, here.
    """
    # Rows of one partition are dealt in turn. Without the checkpoint, Spark would skip this step.
    together = frame.repartition(1).localCheckpoint()
    return together.repartition(max(min(together.count(), max_tasks), 1))
