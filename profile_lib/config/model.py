"""Declare the settings of the profile model's shape."""

from pydantic import Field, model_validator

from profile_lib.config.section import Section


class Task(Section):
    """Declare what a head of the model predicts."""

    name: str
    label: str
    kind: str  # binary, multiclass, multilabel, regression, or a kind of your own
    weight: float = Field(gt=0)
    mask: str | None = None


class ModelSettings(Section):
    """Shape the profile model."""

    text: bool
    numbers: bool
    encoder: str
    encoder_layers: int | None = Field(ge=0)
    numeric_bins: int = Field(gt=0)
    numeric_hidden: int = Field(gt=0)
    joined_size: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    encoder_dropout: float | None = Field(ge=0, lt=1)
    tasks: list[Task]

    @model_validator(mode="after")
    def _reads_something(self) -> "ModelSettings":
        if not (self.text or self.numbers):
            raise ValueError("text and numbers are both false; wanted one or both true")
        return self
