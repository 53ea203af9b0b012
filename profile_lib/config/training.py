"""Declare the settings of training."""

from typing import Any, Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Section


class TuningSettings(Section):
    """Choose the weights of the encoder to tune; adapters are merged for inference."""

    method: Literal["all", "top", "lora", "adalora", "prefix", "ia3"]
    top_layers: int = Field(ge=0)
    rank: int = Field(gt=1)
    alpha: int = Field(gt=0)
    prefix_tokens: int = Field(gt=0)


class AugmentationSettings(Section):
    """Choose how often words and events of a training text change."""

    synonyms: float = Field(ge=0, le=1)
    near_items: float = Field(ge=0, le=1)
    deletions: float = Field(ge=0, le=1)
    reorderings: float = Field(ge=0, le=1)
    insertions: float = Field(ge=0, le=1)


class HorovodSettings(Section):
    """Set how Horovod sends gradients."""

    fp16_compression: bool
    fusion_mb: int = Field(gt=0)
    cycle_ms: float = Field(gt=0)


class TrainingSettings(Section):
    """Fit the profile model."""

    name: str
    seed: int
    launcher: Literal["horovod", "torch", "in_process"]
    n_processes: int = Field(gt=0)
    retries: int = Field(ge=0)
    stall_seconds: int = Field(gt=0)
    horovod: HorovodSettings
    shards: int = Field(gt=0)
    threads_per_process: int = Field(gt=0)
    numeric_epochs: int = Field(ge=0)
    numeric_batch_size: int = Field(gt=0)
    epochs: int = Field(ge=0)
    batch_size: int = Field(gt=0)
    negative_downsampling_rate: float = Field(gt=0, le=1)
    encoder_lr: float = Field(ge=0)
    head_lr: float = Field(gt=0)
    numbers_lr: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    warmup_share: float = Field(ge=0, le=1)
    max_grad_norm: float = Field(gt=0)
    tuning: TuningSettings
    layer_decay: float = Field(gt=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)
    patience: int | None = Field(gt=0)
    accumulation: int = Field(gt=0)
    compile: bool
    augmentation: AugmentationSettings
    checkpoint_steps: int | None = Field(gt=0)
    checkpoint_path: str | None
    shuffle_rows: int = Field(gt=0)
    rows_per_group: int = Field(gt=0)
    evaluation_rows: int = Field(gt=0)
    baseline_rows: int = Field(gt=0)
    bootstrap_resamples: int = Field(gt=0)
    ablations: dict[str, dict[str, Any]]
    progress_steps: int = Field(gt=0)

    @model_validator(mode="after")
    def _has_layers_to_decay(self) -> "TrainingSettings":
        if self.layer_decay < 1 and self.tuning.method not in ("all", "top"):
            raise ValueError(
                f"layer_decay is {self.layer_decay}, but tuning.method {self.tuning.method} tunes "
                "no layers; wanted layer_decay 1, or the method all or top"
            )
        return self
