"""Read CSV files with a header."""

from profile_lib.events.formats.registry import Reader, SparkFormat, source_format


@source_format("csv")
class Csv(SparkFormat):
    """Read columns as strings; a quote within quotes is doubled."""

    def configure(self, reader: Reader) -> Reader:
        """Take the columns' names from the header."""
        return reader.format("csv").option("header", True).option("escape", '"')
