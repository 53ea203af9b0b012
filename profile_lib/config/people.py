"""Declare the settings that say which ids are one person."""

from typing import Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Count, Section


class PeopleRule(Section):
    """Link ids with an equal fact, or an equal value in a column of events."""

    fact: str | None = None
    column: Literal["order_id"] | None = None
    is_probable: bool = False

    @model_validator(mode="after")
    def _check_one(self) -> "PeopleRule":
        if (self.fact is None) == (self.column is None):
            raise ValueError("found both or none of fact and column, wanted one of them")
        return self


class PeopleSettings(Section):
    """Link the ids of one person."""

    max_ids: Count
    max_users_per_device: Count
    shared_window_minutes: float = Field(gt=0)
    use_probable: bool
    rules: dict[str, PeopleRule]
