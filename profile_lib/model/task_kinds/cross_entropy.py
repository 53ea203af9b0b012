"""Define what the kinds share whose labels are 0 or 1: probabilities and their cross-entropy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from profile_lib.metrics import classification as metrics
from profile_lib.model.task_kinds.kind import TaskKind
from profile_lib.model.tasks import TaskSpec

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropyTask(TaskKind):
    """Labels are 0 or 1; predictions are the probabilities of 1, one per logit."""

    measured_column = "probability"
    headline_metrics = ("roc_auc", "pr_auc")
    quality_metrics = ("roc_auc", "pr_auc")

    def max_label(self, task: TaskSpec) -> float:
        """Return 1."""
        return 1.0

    def loss(
        self, task: TaskSpec, logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "Tensor":
        """Return the cross-entropy in nats of each label."""
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(
            logits.view(labels.shape), labels * (1 - smoothing) + smoothing / 2, reduction="none"
        )

    def soft_target_loss(self, logits: "Tensor", teacher: "Tensor", temperature: float) -> "Tensor":
        """Return the cross-entropy (B,) with a teacher's probabilities, both softened.

        Summed over the classes and multiplied by the temperature squared, which keeps the
        gradients' size (Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network,
        2015).
        """
        from torch.nn import functional

        target = (teacher / temperature).sigmoid()
        loss = functional.binary_cross_entropy_with_logits(
            logits / temperature, target, reduction="none"
        )
        return loss.view(len(loss), -1).sum(1) * temperature**2

    def validation_loss(self, task: TaskSpec, columns: Mapping[str, np.ndarray]) -> float:
        """Return the mean cross-entropy in nats over all labels."""
        return metrics.log_loss(columns["label"], columns["probability"])

    def to_predictions(self, task: TaskSpec, logits: "Tensor") -> "Tensor":
        """Return the probability of 1 per logit."""
        return logits.sigmoid()
