"""What a Python worker of Spark does first in a task, so that its next ones begin at once."""

import gc
import zipimport

from pyspark import TaskContext


def freeze_loaded_modules() -> None:
    """Take what this process has loaded for lasting: modules, and the archives they came from.

    Between two tasks Spark has a worker look through all its objects for garbage, and forget all
    listings of folders and archives; Python before 3.13 reads the archives' again right then. Of
    torch and pyspark.zip that is half a second a task, longer than most tasks of a small refresh.
    No archive changes under a worker; one that is added later is listed all the same.
    """
    gc.freeze()
    zipimport.zipimporter.invalidate_caches = _do_nothing  # type: ignore[assignment,method-assign]


def _do_nothing(_: zipimport.zipimporter) -> None:
    pass


def task_threads() -> int:
    """The cores of the task that asks; 1 outside of tasks."""
    task = TaskContext.get()
    return 1 if task is None else task.cpus()
