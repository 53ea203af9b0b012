"""Read Delta tables."""

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.events.formats.registry import SourceFormat, add_raw_columns, source_format
from profile_lib.spark.column_shapes import Shape

if TYPE_CHECKING:
    from profile_lib.events.mapping import InputSpec


@source_format("delta")
class Delta(SourceFormat):
    """Read columns with the types of the table."""

    is_table = True
    read_errors = {"is not a Delta table": "it holds no Delta table"}

    def read(
        self, spark: SparkSession, files: DataFrame, spec: "InputSpec", columns: Shape
    ) -> DataFrame:
        """Read the version that `layout` names of the table."""
        table = files.select("path", "layout").collect()[0]
        reader = spark.read.format("delta").option("versionAsOf", int(table["layout"]))
        return add_raw_columns(reader.load(table["path"]), F.monotonically_increasing_id())
