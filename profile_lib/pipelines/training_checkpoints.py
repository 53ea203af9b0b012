"""Find and remove the checkpoints of trainings."""

import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.training.checkpoints import Checkpoints

HADOOP_PREFIX = "spark.hadoop."


def checkpoint_path(settings: Settings, folder: Path) -> str:
    """Return the path of the checkpoints of the training in `folder`, which is in paths.work."""
    path = settings.training.checkpoint_path
    if path is None:
        return str(folder / "checkpoints")
    return f"{path}/{folder.relative_to(settings.paths.work).as_posix()}"


def hadoop_conf(spark: SparkSession) -> dict[str, str]:
    """Return Spark's settings of file systems, for processes without Spark."""
    conf = spark.sparkContext.getConf().getAll()
    return {k.removeprefix(HADOOP_PREFIX): v for k, v in conf if k.startswith(HADOOP_PREFIX)}


def remove_checkpoints(spark: SparkSession, settings: Settings, folder: Path) -> None:
    """Remove the checkpoints of an earlier training in `folder`."""
    Checkpoints(checkpoint_path(settings, folder), {}, hadoop_conf(spark)).clear()


def remove_training(spark: SparkSession, settings: Settings, folder: Path) -> None:
    """Remove the folder of an earlier training, and its checkpoints, which may be elsewhere."""
    shutil.rmtree(folder, ignore_errors=True)
    remove_checkpoints(spark, settings, folder)
