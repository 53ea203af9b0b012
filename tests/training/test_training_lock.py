"""Two trainings of one name."""

import multiprocessing
import os
import signal

import pytest

from profile_lib.errors import InputError
from profile_lib.training.training_lock import lock_training_name


def hold(models, ready):
    with lock_training_name("shop", models, f"{models}/work"):
        ready.set()
        signal.pause()


def test_a_second_training_of_a_name_is_refused_until_the_first_ends_or_dies(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=hold, args=(str(tmp_path), ready))
    other.start()
    assert ready.wait(60)
    with (
        pytest.raises(InputError, match=r"shop: another training of this name is running; wait"),
        lock_training_name("shop", str(tmp_path)),
    ):
        raise AssertionError("two at once")
    with (  # other models, the same work folder
        pytest.raises(InputError, match=r"work/shop: another training of this name is running"),
        lock_training_name("shop", str(tmp_path / "others"), str(tmp_path / "work")),
    ):
        raise AssertionError("two at once")
    with lock_training_name("another", str(tmp_path)):
        os.kill(other.pid, signal.SIGKILL)
        other.join(10)
    with lock_training_name("shop", str(tmp_path)):
        assert other.exitcode == -signal.SIGKILL
