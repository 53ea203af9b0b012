"""Declare the settings of the search for training settings."""

from typing import Any

from pydantic import Field, model_validator

from profile_lib.config.section import Section


class SearchRange(Section):
    """Bound a searched setting: from `low` to `high`, or one of `choices`."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    choices: list[Any] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "SearchRange":
        has_numbers = self.low is not None and self.high is not None
        if has_numbers == (self.choices is not None):
            found = [name for name in ("low", "high", "choices") if getattr(self, name) is not None]
            raise ValueError(
                f"found {', '.join(found) or 'no bounds'}; wanted low and high, or choices"
            )
        return self


class TuneSettings(Section):
    """Search for training settings."""

    name: str
    storage: str
    trials: int = Field(gt=0)
    windows: int = Field(gt=0)
    task: str
    metric: str  # a metric that the report has of the task, such as log_loss
    space: dict[str, SearchRange]
