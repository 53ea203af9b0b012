"""Declare the settings of training records and promotion."""

from typing import Literal

from profile_lib.config.section import Section


class TrackingSettings(Section):
    """Record trainings."""

    uri: str | None
    experiment: str
    artifacts: str
    tensorboard: str | None
    wandb_project: str | None


class PromoteSettings(Section):
    """Decide when the challenger becomes the champion."""

    task: str
    metric: Literal["roc_auc", "pr_auc"]
