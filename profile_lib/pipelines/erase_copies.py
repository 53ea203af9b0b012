"""Erase people from copies outside the tables: work folders and files."""

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError, LockedError
from profile_lib.pipelines.erasure_receipts import Place, write_places
from profile_lib.pipelines.rotate_pseudonyms import find_work_folders
from profile_lib.pipelines.training_checkpoints import checkpoint_path
from profile_lib.segmentation.export import write_pseudonyms
from profile_lib.segmentation.lookalikes import read_seeds
from profile_lib.spark.hadoop_files import list_files, remove_path
from profile_lib.training.training_lock import lock_training_name

TRAININGS = ("train_", "tune_")  # prefixes of folders that a training locks by its name

log = logging.getLogger(__name__)


def erase_copies(store: Store, settings: Settings, people: DataFrame, now: datetime) -> bool:
    """Remove copies of rows, and people from the files of audiences; add receipts for them.

    `people` has the columns request and user_id. Folders with files older than `now` are removed;
    they are made again when they are needed. Returns whether all are removed: a running training
    keeps its folder.
    """

    are_removed = [
        _remove_work_folder(store, settings, people, folder, now)
        for folder in find_work_folders(settings)
    ]
    if settings.segments.export_folder is not None:
        _erase_from_exports(store, people, settings.segments.export_folder)
    write_places(store, people, list(_find_lists(store, settings, people)))
    return all(are_removed)


def _remove_work_folder(
    store: Store, settings: Settings, people: DataFrame, folder: Path, before: datetime
) -> bool:
    """Remove a folder of a training; return False if the training is running."""
    name, paths = folder.name.partition("_")[2], settings.paths
    is_training = folder.name.startswith(TRAININGS)
    lock = lock_training_name(name, paths.models, paths.work) if is_training else nullcontext()
    try:
        with lock:
            if settings.training.checkpoint_path is not None:
                _remove_old_folder(store, people, checkpoint_path(settings, folder), before)
            _remove_old_folder(store, people, str(folder), before)
            return True
    except LockedError:
        log.warning(f"{folder}: a training is running and may hold erased people; it is left")
        return False


def _remove_old_folder(store: Store, people: DataFrame, folder: str, before: datetime) -> None:
    """Remove a folder with a file older than `before`."""
    files = list_files(store.spark, folder)
    if not any(file.modified_ts < before for file in files):
        return
    n_bytes = sum(file.n_bytes for file in files)
    # First the receipt: a kill in between must not lose it.
    write_places(store, people, [(folder, "folder", n_bytes, None)])
    remove_path(store.spark, folder)
    log.info(f"{folder}: removed; it is made again when it is needed")


def _erase_from_exports(store: Store, people: DataFrame, folder: str) -> None:
    """Write the files of audiences again without the people."""
    for file in list_files(store.spark, folder):
        path = f"{folder}/{file.name}"
        if not file.name.endswith(".csv"):
            continue
        try:
            users = store.spark.read.option("header", True).csv(path)
        except AnalysisException as error:
            if error.getErrorClass() != "PATH_NOT_FOUND":
                raise
            # An export has just given the file its final name.
            _erase_from_exports(store, people, folder)
            return
        if "user_id" not in users.columns:
            continue
        users = users.select("user_id").localCheckpoint()
        if not users.join(people, "user_id", "left_semi").isEmpty():
            write_places(store, people, [(path, "export", file.n_bytes, None)])
            write_pseudonyms(users.join(people, "user_id", "left_anti"), path)
            log.info(f"{path}: people erased")


def _find_lists(store: Store, settings: Settings, people: DataFrame) -> Iterator[Place]:
    """Yield the files of seeds with erased people, which their owners have to change."""
    for name, lookalike in settings.segments.lookalikes.items():
        try:
            seeds = read_seeds(store.spark, lookalike.seeds, f"segments.lookalikes.{name}")
        except InputError as error:  # there is no such file, or it names no user
            log.warning(f"{error}; it was not searched for erased people")
            continue
        if not seeds.join(people, "user_id", "left_semi").isEmpty():
            action = "remove the user_id that are no longer in users from the file"
            log.warning(f"segments.lookalikes.{name}: {lookalike.seeds}: {action}")
            yield lookalike.seeds, "list", None, action
