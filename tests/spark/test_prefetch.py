"""Items made ahead: all of them, in order, and nothing once nobody wants them."""

import pytest

from profile_lib.spark.prefetch import Prefetcher


def test_it_can_be_walked_through_and_its_thread_ends_with_the_walk():
    ready = Prefetcher(iter("abc"))
    assert list(ready) == ["a", "b", "c"]
    assert not ready._thread.is_alive()


def test_what_is_made_ahead_comes_in_order_and_ends_for_good():
    ready = Prefetcher(iter(range(5)), buffer_size=1)
    found = [ready.next() for _ in range(7)]
    assert found == [0, 1, 2, 3, 4, None, None]


def test_an_error_of_the_thread_that_makes_items_is_raised_where_they_are_taken():
    def broken():
        yield 1
        raise ValueError("row group 3 is torn")

    ready = Prefetcher(broken())
    ready.next()
    with pytest.raises(ValueError, match="row group 3 is torn"):
        ready.next()


def test_a_closed_iterator_makes_nothing_more():
    made = []

    def endless():
        while True:
            made.append(len(made))
            yield 1

    ready = Prefetcher(endless(), buffer_size=2)
    ready.next()
    ready.close()
    assert len(made) <= 4
