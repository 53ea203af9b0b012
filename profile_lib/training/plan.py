"""How a model is fitted: stages, learning rates, and what is tuned in each stage."""

from dataclasses import dataclass
from typing import Any

from profile_lib.model.encoder import ProfileModel


@dataclass(frozen=True)
class Plan:
    """How a model is fitted; the settings of the same names say more."""

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
    frozen_layers: int
    negatives_kept: float
    progress_steps: int
    task_weights: tuple[float, ...]


@dataclass(frozen=True)
class Stage:
    """Epochs of one kind: without the text at first, then with it."""

    name: str
    with_text: bool
    epochs: int
    size: int
    kept: float


def rate(step: int, n_steps: int, warmup_share: float) -> float:
    """The share of the highest learning rate at a step: linear up, then linear down to 0.

    >>> [round(rate(step, 10, 0.2), 3) for step in range(10)]
    [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    """
    warmup = max(1, round(n_steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - warmup))


def freeze(model: ProfileModel, layers: int) -> None:
    """Leave the embeddings and the lowest `layers` layers as they are; 0 tunes everything."""
    if layers > 0:
        for part in (model.bert.embeddings, *model.bert.encoder.layer[:layers]):
            part.requires_grad_(False)


def parameter_groups(model: ProfileModel, plan: Plan, stage: Stage) -> list[dict[str, Any]]:
    """What a stage tunes, each group with its highest learning rate; a part at rate 0 is frozen."""
    heads, numbers = model.heads, model.numbers
    if stage.with_text:
        parts = [(model.bert, plan.encoder_lr), (numbers, plan.numbers_lr), (heads, plan.head_lr)]
    else:
        parts = [(numbers, plan.head_lr), (heads.tasks, plan.head_lr)]
    groups = []
    for part, lr in parts:
        if lr == 0:
            part.requires_grad_(False)
        elif tuned := [p for p in part.parameters() if p.requires_grad]:
            groups.append({"params": tuned, "lr": lr, "highest": lr})
    return groups
