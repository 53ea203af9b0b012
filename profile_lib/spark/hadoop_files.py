"""List, read and remove files of any file system that Hadoop reaches."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from pyspark.sql import SparkSession


class StoredFile(NamedTuple):
    """A file, with its path below the folder that was listed."""

    name: str
    modified_ts: datetime
    n_bytes: int


def read_text(spark: SparkSession, path: str) -> str | None:
    """Return the text of a small file; None if it is missing.

    Unlike Spark, Hadoop reads files whose names begin with an underscore.
    """
    system, hadoop_path = _open(spark, path)
    if not system.exists(hadoop_path):
        return None
    stream = system.open(hadoop_path)
    try:
        jvm = find_jvm(spark)
        return str(jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def remove_path(spark: SparkSession, path: str) -> bool:
    """Remove a file, or a folder with all its files; return whether there was one."""
    system, hadoop_path = _open(spark, path)
    return bool(system.delete(hadoop_path, True))


def file_exists(spark: SparkSession, path: str) -> bool:
    """Return whether there is a file or folder."""
    system, hadoop_path = _open(spark, path)
    return bool(system.exists(hadoop_path))


def list_files(spark: SparkSession, path: str) -> list[StoredFile]:
    """List all files below a folder; a missing folder has none."""
    system, hadoop_path = _open(spark, path)
    if not system.exists(hadoop_path):
        return []
    root = system.makeQualified(hadoop_path).toUri().getPath().rstrip("/")
    files, listed = [], system.listFiles(hadoop_path, True)
    while listed.hasNext():
        status = listed.next()
        name = status.getPath().toUri().getPath().removeprefix(f"{root}/")
        modified_ts = datetime.fromtimestamp(status.getModificationTime() / 1000, UTC)
        files.append(StoredFile(name, modified_ts, status.getLen()))
    return files


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return the file system of a path, and the path as Hadoop has it."""
    hadoop_path = find_jvm(spark).org.apache.hadoop.fs.Path(path)
    configuration = spark.sparkContext._jsc.hadoopConfiguration()
    return hadoop_path.getFileSystem(configuration), hadoop_path


def find_jvm(spark: SparkSession) -> Any:
    """Return the view of the JVM that the session runs in."""
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    return gateway.jvm
