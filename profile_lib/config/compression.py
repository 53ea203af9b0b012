"""Declare the settings of quantization, distillation and pruning."""

from pydantic import Field, model_validator

from profile_lib.config.section import Section


class QuantizationSettings(Section):
    """Add an 8-bit encoder to a trained model."""

    enabled: bool
    calibration_texts: int = Field(gt=0)
    min_quality_ratio: float = Field(gt=0, le=1)


class CompressSettings(Section):
    """Make a trained model smaller; other settings are those of training."""

    student_name: str
    pruned_name: str
    student_layers: int = Field(gt=0)
    pruned_share: float = Field(gt=0, lt=1)
    importance_rows: int = Field(gt=0)
    epochs: int = Field(gt=0)
    recovery_epochs: int = Field(gt=0)
    negative_downsampling_rate: float = Field(gt=0, le=1)
    lr: float = Field(gt=0)
    labels_weight: float = Field(ge=0)
    teacher_weight: float = Field(ge=0)
    distance_weight: float = Field(ge=0)
    temperature: float = Field(gt=0)
    evaluation_rows: int = Field(gt=0)
    speed_rows: int = Field(gt=0)
    speed_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _learns_something(self) -> "CompressSettings":
        if not (self.labels_weight or self.teacher_weight or self.distance_weight):
            raise ValueError(
                "found weights that are all 0; wanted labels_weight, teacher_weight or "
                "distance_weight above 0"
            )
        return self
