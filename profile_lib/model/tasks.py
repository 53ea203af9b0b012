"""What a model is asked and reads: the kinds of tasks with their labels, and categories."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

TaskKind = Literal["binary", "multiclass", "multilabel", "regression"]


class CategorySpec(BaseModel):
    """A feature that is one of several values: its column, and those that train knows."""

    model_config = ConfigDict(frozen=True)
    name: str
    values: tuple[str, ...]  # commonest first


class TaskSpec(BaseModel):
    """What a head answers, with one logit a class, in this order, or one in all.

    A label is 0 or 1 where binary, the class's position where multiclass, 0 or 1 for each class
    where multilabel, and a number where it is a regression; NaN is unknown.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: TaskKind
    classes: tuple[str, ...] = ()  # of multiclass and multilabel tasks, commonest first
    center: float = 0.0  # of a regression: mean of the train labels
    scale: float = 1.0  # and their deviation: the head learns the standardised label

    @property
    def n_outputs(self) -> int:
        """Logits of the head."""
        return len(self.classes) or 1

    @property
    def n_labels(self) -> int:
        """Columns of `labels` that are its own."""
        return len(self.classes) if self.kind == "multilabel" else 1

    @property
    def max_label(self) -> float:
        """The largest label it may be given."""
        return {"multiclass": len(self.classes) - 1.0, "regression": float("inf")}.get(
            self.kind, 1.0
        )

    def to_predictions(self, logits: "Tensor") -> "Tensor":
        """Logits (B,) or (B, C) → probabilities of the same shape, of a regression the value."""
        if self.kind == "regression":
            return logits * self.scale + self.center
        return logits.softmax(-1) if self.kind == "multiclass" else logits.sigmoid()


def slice_label_columns(tasks: Sequence[TaskSpec]) -> Iterator[tuple[TaskSpec, slice]]:
    """Each task with the columns of `labels` that are its own, in order."""
    start = 0
    for task in tasks:
        yield task, slice(start, start + task.n_labels)
        start += task.n_labels
