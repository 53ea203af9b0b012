"""Declare what all sections of the settings share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(gt=0, le=1)]  # weight of a step, as a share of the next later one's
FolderName = Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # also the name of a file
SourceEntry = dict[str, Any]  # a candidate source: its `kind`, and that kind's own settings


class Section(BaseModel):
    """Require every key of a section, and refuse all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)
