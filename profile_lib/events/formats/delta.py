"""Read Delta tables."""

from profile_lib.events.formats.registry import Reader, SparkFormat, source_format


@source_format("delta")
class Delta(SparkFormat):
    """Read columns with the types of the table."""

    def configure(self, reader: Reader) -> Reader:
        """Set the format; the table's log holds everything else."""
        return reader.format("delta")
