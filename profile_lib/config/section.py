"""What all sections of the settings are."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the settings: every key is wanted, no other is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)
