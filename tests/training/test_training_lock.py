"""Two trainings of one name exclude each other."""

import multiprocessing
import os
import signal

import pytest

from profile_lib.errors import LockedError
from profile_lib.training.training_lock import lock_training_name


def hold_lock(models, ready):
    with lock_training_name("shop", models, f"{models}/work"):
        ready.set()
        signal.pause()


@pytest.mark.slow
def test_a_second_training_of_a_name_is_refused_until_the_first_ends_or_dies(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold_lock, args=(str(tmp_path), ready))
    holder.start()
    assert ready.wait(60)
    with (
        pytest.raises(LockedError, match=r"shop: another training of this name is running; wait"),
        lock_training_name("shop", str(tmp_path)),
    ):
        raise AssertionError("two processes hold the lock")
    with (  # another folder of models, the same work folder
        pytest.raises(LockedError, match=r"work/shop: another training of this name is running"),
        lock_training_name("shop", str(tmp_path / "others"), str(tmp_path / "work")),
    ):
        raise AssertionError("two processes hold the lock")
    with lock_training_name("another", str(tmp_path)):
        os.kill(holder.pid, signal.SIGKILL)
        holder.join(10)
    with lock_training_name("shop", str(tmp_path)):
        assert holder.exitcode == -signal.SIGKILL
