"""Declare the settings of table writes and maintenance."""

from pydantic import Field

from profile_lib.config.section import Section


class StoreSettings(Section):
    """Retry writes that lose against concurrent ones."""

    max_attempts: int = Field(gt=0)
    first_wait_seconds: float = Field(ge=0)


class MaintainSettings(Section):
    """Compact tables and delete expired files."""

    file_mib: int = Field(gt=0)
    commit_mib: int = Field(gt=0)
    retention_hours: float = Field(ge=0)
    min_retention_hours: float = Field(ge=0)
