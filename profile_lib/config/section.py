"""Declare what all sections of the settings share."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(gt=0, le=1)]  # weight of a step, as a share of the next later one's
FolderName = Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # also the name of a file
SourceEntry = dict[str, Any]  # a candidate source: its `kind`, and that kind's own settings


def _check_secret(value: Any) -> Any:
    """Raise ValueError for what is no text; pydantic's own error would show the value."""
    if not isinstance(value, str | SecretStr):
        raise ValueError("found no text, wanted the secret in quotes")
    return value


Secret = Annotated[SecretStr, BeforeValidator(_check_secret)]  # printed and dumped as asterisks


class Section(BaseModel):
    """Require every key of a section, and refuse all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)
