"""Describe how a model is fitted: stages, learning rates, parameter groups."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn


@dataclass(frozen=True)
class Tuning:
    """The method that tunes the encoder: the settings of `training.tuning`."""

    method: Literal["all", "top", "lora", "adalora", "prefix", "ia3"] = "all"
    top_layers: int = 0
    rank: int = 8
    alpha: int = 16
    prefix_tokens: int = 8


@dataclass(frozen=True)
class Augmentation:
    """Rates of the changes to training texts: the settings of a section `augmentation`."""

    synonyms: float = 0.0
    near_items: float = 0.0
    insertions: float = 0.0
    deletions: float = 0.0
    reorderings: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether any text is changed."""
        return any(vars(self).values())


@dataclass(frozen=True)
class TrainingPlan:
    """The hyperparameters of a training: the settings of the same names in `training`."""

    seed: int
    epochs: int
    numeric_epochs: int
    batch_size: int
    numeric_batch_size: int
    encoder_lr: float
    head_lr: float
    numbers_lr: float
    weight_decay: float
    warmup_share: float
    max_grad_norm: float
    negative_downsampling_rate: float
    progress_steps: int
    accumulation: int = 1
    layer_decay: float = 1.0
    label_smoothing: float = 0.0
    patience: int | None = None
    checkpoint_steps: int | None = None
    compile: bool = False
    tuning: Tuning = field(default_factory=Tuning)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class Stage:
    """The epochs that train on the same inputs, such as those on numbers alone."""

    name: str
    with_text: bool
    epochs: int
    batch_size: int
    negative_downsampling_rate: float


def learning_rate_share(step: int, n_steps: int, warmup_share: float) -> float:
    """Return a step's share of the peak learning rate: linear warm-up, then linear decay.

    Steps are counted from 0, and the rate would reach 0 at step `n_steps`.

    >>> [round(learning_rate_share(step, 10, 0.2), 3) for step in range(10)]
    [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    """
    warmup = max(1, round(n_steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - warmup))


def layerwise_learning_rates(
    bert: Any, lr: float, decay: float
) -> Iterator[tuple[nn.Module, float]]:
    """Yield the encoder's layers and embeddings, each with its learning rate.

    The top layer has `lr`, each layer below it `decay` times the rate of the layer above, and the
    embeddings the lowest rate (Howard & Ruder, ULMFiT, 2018; as in Clark et al., ELECTRA, 2020).
    """
    for depth, layer in enumerate(reversed(bert.encoder.layer)):
        yield layer, lr * decay**depth
    yield bert.embeddings, lr * decay ** len(bert.encoder.layer)


def make_parameter_groups(
    part: nn.Module, lr: float, weight_decay: float
) -> Iterator[dict[str, Any]]:
    """Yield a part's trainable parameters as groups: matrices with weight decay, others without.

    A part with the learning rate 0 is frozen.
    """
    if lr == 0:
        part.requires_grad_(False)
    trainable = [p for p in part.parameters() if p.requires_grad]
    for is_matrix, decay in ((True, weight_decay), (False, 0.0)):
        if params := [p for p in trainable if (p.dim() > 1) == is_matrix]:
            yield {"params": params, "lr": lr, "peak_lr": lr, "weight_decay": decay}
