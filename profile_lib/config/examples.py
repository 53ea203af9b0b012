"""Declare the settings of training examples."""

from pydantic import Field

from profile_lib.config.section import Count, Section


class ExampleSettings(Section):
    """Choose the cutoffs, the horizon and the splits of training examples."""

    seed: int
    cutoffs_per_session: int = Field(ge=0)
    train_cutoffs_per_session: int = Field(ge=0)
    max_cutoffs_per_user: Count
    min_session_events: int = Field(gt=0)
    calendar_days: int | None
    horizon_hours: float = Field(gt=0)
    first_cutoff: str | None
    last_cutoff: str | None
    validation_from: str
    test_from: str
    negative_downsampling_rate: float = Field(gt=0, le=1)
    max_tokens: int = Field(gt=8)
    max_text_events: int = Field(gt=0)
