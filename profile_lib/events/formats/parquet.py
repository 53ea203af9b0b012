"""Read Parquet files."""

from profile_lib.events.formats.registry import Reader, SparkFormat, source_format

NOT_PARQUET = "the content is not Parquet"


@source_format("parquet")
class Parquet(SparkFormat):
    """Read columns with the types of the files."""

    read_errors = {
        "is not a Parquet file": NOT_PARQUET,
        "not a Parquet file": NOT_PARQUET,
        "CANNOT_READ_FILE_FOOTER": NOT_PARQUET,
    }

    def configure(self, reader: Reader) -> Reader:
        """Set the format; the files hold everything else."""
        return reader.format("parquet")
