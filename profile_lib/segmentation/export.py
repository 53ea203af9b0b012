"""A frame of users in, a CSV file of their pseudonyms out: whole or not at all."""

from pyspark.sql import DataFrame

from profile_lib.files import UNFINISHED_SUFFIX


def write_pseudonyms(users: DataFrame, file: str) -> None:
    """Write the column `user_id` of a frame, and no other, as a CSV file with a header.

    `file` is any path of a file system that Hadoop reaches. Spark writes beside it, and the file
    takes its place by a rename, so whoever reads it never finds a part.
    """
    context = users.sparkSession.sparkContext
    assert context._gateway is not None
    hadoop = context._gateway.jvm.org.apache.hadoop.fs
    conf = context._jsc.hadoopConfiguration()
    beside = file + UNFINISHED_SUFFIX
    rows = users.select("user_id").coalesce(1)
    rows.write.mode("overwrite").option("header", True).csv(beside)
    system = hadoop.Path(beside).getFileSystem(conf)
    folder, target = (system.makeQualified(hadoop.Path(path)) for path in (beside, file))
    (part,) = system.globStatus(hadoop.Path(folder, "part-*"))
    rename = getattr(hadoop, "Options$Rename")
    how = context._gateway.new_array(rename, 1)
    how[0] = rename.OVERWRITE
    hadoop.FileContext.getFileContext(target.toUri(), conf).rename(part.getPath(), target, how)
    system.delete(folder, True)
