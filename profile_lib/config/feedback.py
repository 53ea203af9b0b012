"""Declare the settings of attribution and experiments."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Section


class ExperimentSettings(Section):
    """Declare an experiment: its arms and the smallest effects of interest."""

    control: str
    shares: dict[str, float]
    ctr_effect: float = Field(gt=0)
    revenue_effect: float = Field(gt=0)

    @model_validator(mode="after")
    def _check_shares(self) -> "ExperimentSettings":
        if self.control not in self.shares or len(self.shares) < 2:
            raise ValueError(
                f"found shares of {', '.join(self.shares) or 'no arm'}; wanted shares of "
                f"{self.control!r}, the control, and of other arms"
            )
        if min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError(
                f"found shares {', '.join(f'{share:g}' for share in self.shares.values())}; "
                "wanted shares above 0 that add up to 1"
            )
        return self


class FeedbackSettings(Section):
    """Attribute outcomes to impressions, and judge them."""

    window_hours: float = Field(gt=0)
    click_types: list[Literal["click", "view"]]
    dimensions: list[str]
    confidence_level: float = Field(gt=0, lt=1)
    alpha: float = Field(gt=0, lt=1)
    mismatch_alpha: float = Field(gt=0, lt=1)
    min_users: int = Field(gt=1)
    experiments: dict[str, ExperimentSettings]

    @property
    def window(self) -> timedelta:
        """Return the time after an impression in which an outcome is attributed to it."""
        return timedelta(hours=self.window_hours)
