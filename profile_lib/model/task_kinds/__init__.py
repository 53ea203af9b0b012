"""Hold one file per kind of prediction task; @register_task_kind adds its class."""

from profile_lib.model.task_kinds.kind import (
    BaselineInputs,
    LabelStatistics,
    Metrics,
    TaskKind,
    get_task_kind,
    register_task_kind,
)

__all__ = [
    "BaselineInputs",
    "LabelStatistics",
    "Metrics",
    "TaskKind",
    "get_task_kind",
    "register_task_kind",
]
