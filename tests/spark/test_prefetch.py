"""A prefetcher yields all items in order, and stops with its consumer."""

import pytest

from profile_lib.spark.prefetch import Prefetcher


def test_the_thread_ends_with_the_iteration():
    prefetcher = Prefetcher(iter("abc"))
    assert list(prefetcher) == ["a", "b", "c"]
    assert not prefetcher._thread.is_alive()


def test_items_come_in_order_and_none_comes_after_the_last():
    prefetcher = Prefetcher(iter(range(5)), buffer_size=1)
    items = [prefetcher.next() for _ in range(7)]
    assert items == [0, 1, 2, 3, 4, None, None]


def test_an_error_in_the_thread_is_raised_when_the_next_item_is_taken():
    def broken():
        yield 1
        raise ValueError("row group 3 is torn")

    prefetcher = Prefetcher(broken())
    prefetcher.next()
    with pytest.raises(ValueError, match="row group 3 is torn"):
        prefetcher.next()


def test_a_closed_prefetcher_produces_no_more_items():
    produced = []

    def endless():
        while True:
            produced.append(len(produced))
            yield 1

    prefetcher = Prefetcher(endless(), buffer_size=2)
    prefetcher.next()
    prefetcher.close()
    assert len(produced) <= 4
