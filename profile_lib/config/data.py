"""How clicks become tables: simulated, ingested, cut into sessions, remembered, made examples."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from profile_lib.config.section import Section


class SimulateSettings(Section):
    """The shop with known truth."""

    seed: int
    n_users: int = Field(gt=0)
    n_items: int = Field(gt=0)
    n_days: int = Field(gt=0)
    first_day: str  # yyyy-mm-dd
    sessions_per_user: float = Field(gt=0)  # mean over all days
    chinese_share: float = Field(ge=0, le=1)
    drift_share: float = Field(ge=0, le=1)  # users whose interests change half way
    dirt_share: float = Field(ge=0, le=1)  # of rows, over all kinds of dirt
    bots_share: float = Field(ge=0, le=1)  # of users
    format: Literal["json", "parquet"]  # of the raw events and users
    events_path: str
    truth_path: str


class IngestSettings(Section):
    """From a source to events."""

    mapping: str
    inputs: dict[str, str]  # the mapping's name of an input → its path
    pseudonym_key_env: str
    pseudonym_key: str | None  # for demos alone: where set, the environment is not asked
    max_rejected_share: float = Field(ge=0, le=1)
    max_text_chars: int = Field(gt=0)
    max_events_per_minute: int = Field(gt=0)  # more of a user in one minute are a bot's
    max_events_per_day: int = Field(gt=0)
    earliest: str  # yyyy-mm-dd; an event before it has a broken clock
    latest: str | None  # an event after it is from the future; null: the end of the run's date


class SessionSettings(Section):
    """Where a session ends."""

    gap_minutes: float = Field(gt=0)

    @property
    def gap(self) -> timedelta:
        """What a session does not hold between two events."""
        return timedelta(minutes=self.gap_minutes)


class BehaviourSettings(Section):
    """What is remembered of a user."""

    half_life_days: float = Field(gt=0)
    weights: dict[str, float]  # what one event of a kind says of an interest
    max_interests: int = Field(gt=0)
    max_recent: int = Field(gt=0)


class ExampleSettings(Section):
    """Cutoffs, labels and split."""

    seed: int
    cutoffs_per_session: int = Field(ge=0)
    train_cutoffs_per_session: int = Field(ge=0)  # of sessions before validation_from
    min_session_events: int = Field(gt=0)
    calendar_days: int | None  # also one cutoff every so many days at midnight; null: none
    horizon_hours: float = Field(gt=0)
    first_cutoff: str | None  # yyyy-mm-dd; history before it is input alone
    last_cutoff: str | None  # so that the horizon is seen whole; null: last event less the horizon
    validation_from: str
    test_from: str
    negative_downsampling_rate: float = Field(
        gt=0, le=1
    )  # of the training examples that buy nothing
    max_tokens: int = Field(gt=8)
    max_text_events: int = Field(gt=0)
