"""Declare the settings of behaviour features."""

from zoneinfo import available_timezones

from pydantic import Field, field_validator

from profile_lib.config.section import Section


class BehaviourSettings(Section):
    """Choose the shop's time zone, weight interests, and limit what is stored per user."""

    time_zone: str
    half_life_days: float = Field(gt=0)
    weights: dict[str, float]
    max_interests: int = Field(gt=0)
    max_recent: int = Field(gt=0)

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(
                f"found {name!r}; wanted the IANA name of a time zone, such as UTC or Europe/Paris"
            )
        return name
