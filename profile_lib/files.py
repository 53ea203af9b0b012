"""Write files and folders that appear complete or not at all."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JJavaError
from safetensors import SafetensorError

from profile_lib.errors import InputError

UNFINISHED_SUFFIX = ".writing"  # ends the name of a file or folder until it is complete
REPLACED_SUFFIX = ".old"  # ends the name of a folder while a new one takes its place
DISK_FULL_MESSAGE = "No space left on device"


def write_text_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 file completely or not at all; make missing parents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty sibling folder, which replaces `path` if the body ends without an error.

    The previous folder is removed only after the new one has taken its place. A body that raises
    leaves the previous folder as it was.
    """
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    shutil.rmtree(unfinished, ignore_errors=True)  # an interrupted write may have left one
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    replaced = path.with_name(path.name + REPLACED_SUFFIX)
    shutil.rmtree(replaced, ignore_errors=True)
    if path.exists():
        path.rename(replaced)
    unfinished.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def explain_full_disk(path: str) -> Iterator[None]:
    """Raise InputError, which names `path`, if the body fails because the disk is full."""
    try:
        yield
    except (OSError, SafetensorError, Py4JJavaError) as error:
        if not _is_disk_full(error):
            raise
        raise InputError(
            f"{path}: {DISK_FULL_MESSAGE}; free some, or set paths.work, paths.models or "
            "training.checkpoint_path to a larger disk, and start again; --resume continues from "
            "the last checkpoint, if there is one"
        ) from error


def _is_disk_full(error: BaseException) -> bool:
    """Check the error number, or the message of libraries that pass no number."""
    message = str(error)
    return (
        getattr(error, "errno", None) == errno.ENOSPC
        or DISK_FULL_MESSAGE in message
        or (isinstance(error, SafetensorError) and "StorageFull" in message)
    )
