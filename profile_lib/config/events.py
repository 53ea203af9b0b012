"""Declare the settings of ingestion and sessions."""

from datetime import timedelta

from pydantic import Field

from profile_lib.config.section import Secret, Section


class IngestSettings(Section):
    """Read raw events of a source into the table `events`."""

    mapping: str
    inputs: dict[str, str]
    pseudonym_key_env: str
    pseudonym_key: Secret | None
    max_rejected_share: float = Field(ge=0, le=1)
    max_shares: dict[str, float]
    max_text_chars: int = Field(gt=0)
    max_price: float = Field(gt=0)
    base_currency: str | None
    rates: str | None
    placeholder_ids: list[str]
    max_user_share: float = Field(gt=0, le=1)
    min_rows_for_share: int = Field(gt=0)
    bot_agents: str
    max_events_per_minute: int = Field(gt=0)
    max_events_per_day: int = Field(gt=0)
    earliest: str
    latest: str | None


class DraftSettings(Section):
    """Draft the mapping of files that nobody has described yet."""

    path: str | None
    output: str
    name: str | None
    max_files: int = Field(gt=0)
    max_bytes: int = Field(gt=0)
    max_rows: int = Field(gt=0)


class SessionSettings(Section):
    """Divide events into sessions."""

    gap_minutes: float = Field(gt=0)

    @property
    def gap(self) -> timedelta:
        """Return the time without an event after which a new session starts."""
        return timedelta(minutes=self.gap_minutes)
