"""A name in, the sole right to train under it out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from profile_lib.errors import InputError


@contextmanager
def only_training(models: str, name: str) -> Iterator[None]:
    """While the body runs, no other process may train `name`; a process that dies lets go of it.

    Raises InputError where another one does.
    """
    path = Path(models) / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise InputError(
            f"{path.parent / name}: another training of this name is running; wait for it, or give "
            "this one another training.name"
        ) from error
