"""Declare the settings of the profile stream."""

from typing import Literal

from pydantic import Field

from profile_lib.config.section import Section


class StreamSettings(Section):
    """Update profiles as events arrive."""

    source: Literal["events", "files", "kafka"]
    kafka: dict[str, str]
    checkpoint: str
    trigger_seconds: float = Field(ge=0)
    encoder_seconds: float = Field(ge=0)
    max_pending_per_batch: int = Field(gt=0)
    compact_batches: int = Field(gt=0)
    compact_mib: int = Field(gt=0)
    max_lag_seconds: float = Field(gt=0)
    report_seconds: float = Field(gt=0)
    metrics_port: int | None
