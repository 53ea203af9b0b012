"""Register the kinds of prediction tasks: each file of this package defines one."""

from importlib import import_module
from pkgutil import iter_modules

from profile_lib.model.task_kinds.kind import (
    BaselineInputs,
    LabelStatistics,
    Metrics,
    TaskKind,
    get_task_kind,
    register_task_kind,
)

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "BaselineInputs",
    "LabelStatistics",
    "Metrics",
    "TaskKind",
    "get_task_kind",
    "register_task_kind",
]
