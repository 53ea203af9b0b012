"""Keep two processes from training a model of the same name."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from profile_lib.errors import LockedError


@contextmanager
def lock_training_name(name: str, *folders: str) -> Iterator[None]:
    """Lock the training name `name` in these folders while the body runs.

    A process that dies releases its lock. Raises LockedError if another process holds it.
    """
    with ExitStack() as locks:
        for folder in sorted({Path(folder).resolve() for folder in folders}):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                locks.enter_context(FileLock(folder / f".{name}.lock", timeout=0))
            except Timeout as error:
                raise LockedError(
                    f"{folder / name}: another training of this name is running; wait for it, or "
                    "give this one another training.name"
                ) from error
        yield
