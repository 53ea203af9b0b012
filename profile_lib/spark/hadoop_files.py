"""Remove folders of any file system that Hadoop reaches."""

from pyspark.sql import SparkSession


def remove_folder(spark: SparkSession, path: str) -> bool:
    """Remove a folder with all its files; return whether there was one."""
    context = spark.sparkContext
    assert context._gateway is not None
    hadoop_path = context._gateway.jvm.org.apache.hadoop.fs.Path(path)
    system = hadoop_path.getFileSystem(context._jsc.hadoopConfiguration())
    return bool(system.delete(hadoop_path, True))
