"""Declare the settings of behaviour features."""

from pydantic import Field

from profile_lib.config.section import Section


class BehaviourSettings(Section):
    """Weight interests, and limit what is stored per user."""

    half_life_days: float = Field(gt=0)
    weights: dict[str, float]
    max_interests: int = Field(gt=0)
    max_recent: int = Field(gt=0)
