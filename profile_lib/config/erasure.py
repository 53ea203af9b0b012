"""Declare the settings of the erasure of people."""

from pydantic import Field

from profile_lib.config.section import Section


class EraseSettings(Section):
    """Erase people from tables and copies."""

    requests: str | None
    grace_hours: float = Field(ge=0)
