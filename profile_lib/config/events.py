"""Declare the settings of ingestion and sessions."""

from datetime import timedelta

from pydantic import Field

from profile_lib.config.section import Section


class IngestSettings(Section):
    """Read raw events of a source into the table `events`."""

    mapping: str
    inputs: dict[str, str]
    pseudonym_key_env: str
    pseudonym_key: str | None
    max_rejected_share: float = Field(ge=0, le=1)
    max_text_chars: int = Field(gt=0)
    max_events_per_minute: int = Field(gt=0)
    max_events_per_day: int = Field(gt=0)
    earliest: str
    latest: str | None


class SessionSettings(Section):
    """Divide events into sessions."""

    gap_minutes: float = Field(gt=0)

    @property
    def gap(self) -> timedelta:
        """Return the time without an event after which a new session starts."""
        return timedelta(minutes=self.gap_minutes)
