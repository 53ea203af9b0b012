"""Prefetch the items of an iterator in a thread."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """An iterator whose next items, up to `buffer_size`, a thread prepares in advance.

    An error in the thread is raised by `next`. `wait_seconds` is the time that the caller spent
    waiting for items.
    """

    def __init__(self, items: Iterator[Item], buffer_size: int = 2):
        self.wait_seconds = 0.0
        self._is_over = False
        self._queue: queue.Queue[Item | BaseException | None] = queue.Queue(buffer_size)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(items,), daemon=True)
        self._thread.start()

    def _run(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001  # next() raises it again
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: Item | BaseException | None) -> bool:
        while not self._is_closed.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def next(self) -> Item | None:
        """Return the next item; None if there are no more."""
        if self._is_over:
            return None
        start = time.perf_counter()
        item = self._queue.get()
        self.wait_seconds += time.perf_counter() - start
        if isinstance(item, BaseException):
            self._is_over = True
            self.close()
            raise item
        self._is_over = item is None
        return item

    def __iter__(self) -> Iterator[Item]:
        """Yield the remaining items; close when they end or the caller stops."""
        try:
            while (item := self.next()) is not None:
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Stop the thread and drop the items it has produced."""
        self._is_closed.set()
        self._thread.join()
