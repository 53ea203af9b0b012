"""Describe what a model reads and predicts: category features and prediction tasks."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

    from profile_lib.model.task_kinds import TaskKind


class CategorySpec(BaseModel):
    """A categorical feature: its column, and the values known from the train split."""

    model_config = ConfigDict(frozen=True)
    name: str
    values: tuple[str, ...]  # most frequent first


class TaskSpec(BaseModel):
    """A prediction task as the train split defines it.

    One head of the model learns it, with one logit per class, or one if there are no classes.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: str  # the name of a registered TaskKind
    classes: tuple[str, ...] = ()  # of multiclass and multilabel tasks, most frequent first
    center: float = 0.0  # of a regression: mean of the train labels, which are standardised
    scale: float = 1.0  # of a regression: standard deviation of the train labels

    @property
    def definition(self) -> "TaskKind":
        """The rules of the task's kind. Raises InputError if the kind is not registered."""
        from profile_lib.model.task_kinds import get_task_kind  # its kinds build TaskSpecs

        return get_task_kind(self.kind)

    @property
    def n_outputs(self) -> int:
        """The number of the head's logits."""
        return len(self.classes) or 1

    @property
    def n_labels(self) -> int:
        """The number of the task's columns in `labels`."""
        return self.definition.n_labels(self)

    @property
    def max_label(self) -> float:
        """The largest valid label; infinity if any number is valid."""
        return self.definition.max_label(self)

    def to_predictions(self, logits: "Tensor") -> "Tensor":
        """Return the predictions of logits (B,) or (B, C), in the same shape."""
        return self.definition.to_predictions(self, logits)


def slice_label_columns(tasks: Sequence[TaskSpec]) -> Iterator[tuple[TaskSpec, slice]]:
    """Yield each task and its columns of `labels`, in order."""
    start = 0
    for task in tasks:
        yield task, slice(start, start + task.n_labels)
        start += task.n_labels
