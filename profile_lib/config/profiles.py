"""Declare the settings of profile refresh and history."""

from typing import Literal

from pydantic import Field

from profile_lib.config.section import Section


class RefreshSettings(Section):
    """Compute profiles."""

    alias: Literal["champion", "challenger"] | None
    runtime: str
    batch_tokens: int = Field(gt=0)
    user_buckets: int = Field(gt=0)
    buckets_per_chunk: int = Field(gt=0)
    n_reasons: int = Field(ge=0)
    n_next_categories: int = Field(gt=0)


class HistorySettings(Section):
    """Record earlier profiles."""

    retention_days: float = Field(gt=0)
