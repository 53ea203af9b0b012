"""List the files of a table from Delta's log, whose form the Delta protocol defines.

Neither SQL nor the API of Delta lists the files of each partition. Delta's class `DeltaLog` does,
but it is internal and has another name on Databricks. The log is the same everywhere.
"""

import json
from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.spark.frames import union_all
from profile_lib.spark.hadoop_files import read_text

LOG_FOLDER = "_delta_log"
ACTIONS = """
    add struct<path string, partitionValues map<string, string>, size bigint>,
    remove struct<path string>
"""


def list_live_files(spark: SparkSession, path: str, version: int) -> DataFrame | None:
    """Return the files of a table's latest `version`, with partitionValues and size in bytes.

    Reads the last checkpoint and the commits after it. Returns None if the checkpoint does not have
    Delta's default form, or if the log has been removed in part.
    """
    log = f"{path}/{LOG_FOLDER}"
    checkpoint = json.loads(read_text(spark, f"{log}/_last_checkpoint") or '{"version": -1}')
    if "v2Checkpoint" in checkpoint:
        return None
    first = checkpoint["version"] + 1
    commits = [f"{log}/{number:020}.json" for number in range(first, version + 1)]
    try:
        frames = [spark.read.schema(ACTIONS).json(commits)] if commits else []
        if first:
            frames.append(spark.read.schema(ACTIONS).parquet(*_checkpoint_files(log, checkpoint)))
    except AnalysisException as error:
        if error.getErrorClass() == "PATH_NOT_FOUND":
            return None
        raise
    return _select_live(union_all([_number_actions(frame) for frame in frames]))


def _checkpoint_files(log: str, checkpoint: Mapping[str, int]) -> list[str]:
    name, n_parts = f"{log}/{checkpoint['version']:020}.checkpoint", checkpoint.get("parts")
    if n_parts is None:
        return [f"{name}.parquet"]
    return [f"{name}.{part:010}.{n_parts:010}.parquet" for part in range(1, n_parts + 1)]


def _number_actions(actions: DataFrame) -> DataFrame:
    """Add the path and the version of each action."""
    file = F.coalesce("add.path", "remove.path").alias("file")
    version = F.substring("_metadata.file_name", 1, 20).alias("version")
    return actions.select("add", file, version).where(file.isNotNull())


def _select_live(actions: DataFrame) -> DataFrame:
    """Select the files whose last action adds them.

    A commit that deletes rows by a deletion vector removes their file and adds it again.
    """
    last = F.max_by("add", F.struct("version", F.col("add").isNotNull()))
    return actions.groupBy("file").agg(last.alias("add")).where("add IS NOT NULL").select("add.*")
