"""Declare the settings of the simulated shop."""

from typing import Literal

from pydantic import Field

from profile_lib.config.section import Section


class SimulateSettings(Section):
    """Describe the simulated shop."""

    seed: int
    n_users: int = Field(gt=0)
    n_items: int = Field(gt=0)
    n_days: int = Field(gt=0)
    first_day: str
    sessions_per_user: float = Field(gt=0)
    chinese_share: float = Field(ge=0, le=1)
    drift_share: float = Field(ge=0, le=1)
    dirt_share: float = Field(ge=0, le=1)
    bots_share: float = Field(ge=0, le=1)
    devices_per_person: float = Field(ge=0)
    shared_share: float = Field(ge=0, le=1)
    logout_share: float = Field(ge=0, le=1)
    anonymous_share: float = Field(ge=0, le=1)
    format: Literal["json", "parquet"]
    events_path: str
    truth_path: str
