"""Declare the settings of storage locations."""

from profile_lib.config.section import Section


class PathSettings(Section):
    """Locate tables, models and intermediate files."""

    tables: str
    identity: str
    models: str
    work: str
