"""Export the pseudonyms of users as a CSV file, atomically."""

from pyspark.sql import DataFrame

from profile_lib.files import UNFINISHED_SUFFIX


def write_pseudonyms(users: DataFrame, file: str) -> None:
    """Write the column `user_id` of a frame as a CSV file with a header.

    `file` is a path of any file system that Hadoop reaches. Spark writes next to it, and a rename
    puts the complete file in place, so that readers never see a part of it.
    """
    context = users.sparkSession.sparkContext
    assert context._gateway is not None
    hadoop = context._gateway.jvm.org.apache.hadoop.fs
    conf = context._jsc.hadoopConfiguration()
    temporary = file + UNFINISHED_SUFFIX
    rows = users.select("user_id").coalesce(1)
    rows.write.mode("overwrite").option("header", True).csv(temporary)
    system = hadoop.Path(temporary).getFileSystem(conf)
    folder, target = (system.makeQualified(hadoop.Path(path)) for path in (temporary, file))
    (part,) = system.globStatus(hadoop.Path(folder, "part-*"))
    rename = getattr(hadoop, "Options$Rename")
    options = context._gateway.new_array(rename, 1)
    options[0] = rename.OVERWRITE
    hadoop.FileContext.getFileContext(target.toUri(), conf).rename(part.getPath(), target, options)
    system.delete(folder, True)
