"""Prepare a Python worker of Spark, so that its next tasks start without delay."""

import gc
import zipimport

from pyspark import TaskContext


def freeze_loaded_modules() -> None:
    """Freeze loaded modules so that garbage collection skips them, and cache archive listings.

    Between two tasks a worker collects garbage among all its objects and drops its listings of
    archives, which Python before 3.13 then reads again. With torch and pyspark.zip this takes half
    a second per task, longer than most tasks of a small refresh. Old listings stay correct: no
    archive changes while a worker runs, and an archive that is added later has no listing yet.
    """
    gc.freeze()
    zipimport.zipimporter.invalidate_caches = _do_nothing  # type: ignore[assignment,method-assign]


def _do_nothing(_: zipimport.zipimporter) -> None:
    pass


def task_threads() -> int:
    """Return the number of cores assigned to the current task; 1 outside of tasks."""
    task = TaskContext.get()
    return 1 if task is None else task.cpus()
