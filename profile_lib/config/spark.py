"""Declare the settings of the Spark session."""

from profile_lib.config.section import Section


class SparkSettings(Section):
    """Start a Spark session if there is none."""

    master: str
    log_level: str
    conf: dict[str, str]
