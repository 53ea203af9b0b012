"""A name in, the sole right to train under it out."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from profile_lib.errors import TryAgainError


@contextmanager
def lock_training_name(name: str, *folders: str) -> Iterator[None]:
    """While the body runs, no other process may train `name` in any of these folders; a process
    that dies lets go of it.

    Raises TryAgainError where another one does.
    """
    with ExitStack() as held:
        for folder in sorted({Path(folder).resolve() for folder in folders}):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(FileLock(folder / f".{name}.lock", timeout=0))
            except Timeout as error:
                raise TryAgainError(
                    f"{folder / name}: another training of this name is running; wait for it, or "
                    "give this one another training.name"
                ) from error
        yield
