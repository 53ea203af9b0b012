"""Declare the settings of training."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Amount, Count, Section, Share


class TuningSettings(Section):
    """Choose the weights of the encoder to tune; adapters are merged for inference."""

    method: Literal["all", "top", "lora", "adalora", "prefix", "ia3"]
    top_layers: int = Field(ge=0)
    rank: int = Field(gt=1)
    alpha: Count
    prefix_tokens: Count


class AugmentationSettings(Section):
    """Choose how often words and events of a training text change."""

    synonyms: Share
    near_items: Share
    deletions: Share
    reorderings: Share
    insertions: Share


class TextTrainingSettings(Section):
    """Name what is trained on texts; choose its batches and the changes to its texts."""

    name: str
    batch_size: Count
    augmentation: AugmentationSettings


class HorovodSettings(Section):
    """Set how Horovod sends gradients."""

    fp16_compression: bool
    fusion_mb: Count
    cycle_ms: float = Field(gt=0)


class BaselineSettings(Section):
    """Fit trees and a logistic regression to the numbers of binary tasks."""

    trees: Count
    learning_rate: float = Field(gt=0)
    leaves: list[Annotated[int, Field(gt=1)]] = Field(min_length=1)
    min_rows: Count
    number_share: float = Field(gt=0, le=1)
    intervals: int = Field(gt=1)
    penalties: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)


class TrainingSettings(TextTrainingSettings):
    """Fit the profile model."""

    seed: int
    launcher: Literal["horovod", "torch", "in_process"]
    n_processes: Count
    retries: int = Field(ge=0)
    stall_seconds: Count
    horovod: HorovodSettings
    shards: Count
    threads_per_process: Count
    numeric_epochs: int = Field(ge=0)
    numeric_batch_size: Count
    epochs: int = Field(ge=0)
    negative_downsampling_rate: float = Field(gt=0, le=1)
    encoder_lr: Amount
    head_lr: float = Field(gt=0)
    numbers_lr: Amount
    weight_decay: Amount
    warmup_share: Share
    max_grad_norm: float = Field(gt=0)
    tuning: TuningSettings
    layer_decay: float = Field(gt=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)
    patience: Count | None
    accumulation: Count
    compile: bool
    checkpoint_steps: Count | None
    checkpoint_path: str | None
    shuffle_rows: Count
    rows_per_group: Count
    evaluation_rows: Count
    baseline_rows: Count
    joins_baselines: bool
    baselines: BaselineSettings
    bootstrap_resamples: Count
    ablations: dict[str, dict[str, Any]]
    progress_steps: Count

    @model_validator(mode="after")
    def _has_layers_to_decay(self) -> "TrainingSettings":
        if self.layer_decay < 1 and self.tuning.method not in ("all", "top"):
            raise ValueError(
                f"layer_decay is {self.layer_decay}, but tuning.method {self.tuning.method} tunes "
                "no layers; wanted layer_decay 1, or the method all or top"
            )
        return self
