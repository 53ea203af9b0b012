"""Report the progress of long loops: what is done, the rate, and the time left."""

import logging
import time
from collections.abc import Callable

Clock = Callable[[], float]  # seconds since any fixed moment


class Progress:
    """Log a line each time a part of a loop is done.

    The time left assumes that the rest takes as long per unit as what was done so far.
    """

    def __init__(
        self, log: logging.Logger, unit: str, total: int, clock: Clock = time.monotonic
    ) -> None:
        self.log, self.unit, self.total, self.clock = log, unit, total, clock
        self.done, self.start = 0, clock()

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done and log the line."""
        self.done += n
        seconds = self.clock() - self.start
        self.log.info(
            format_progress(self.unit, self.done, self.total, seconds),
            extra={
                "fields": {"done": self.done, "total": self.total, "seconds": round(seconds, 1)}
            },
        )


def format_progress(unit: str, done: int, total: int, seconds: float) -> str:
    """Format one line of progress.

    >>> format_progress("buckets", 4, 16, 20.0)
    '  4 of 16 buckets, 0.2 per second, 1:00 left'
    >>> format_progress("buckets", 16, 16, 80.0)
    '  16 of 16 buckets, 0.2 per second'
    """
    line = f"  {done:,} of {total:,} {unit}"
    if done and seconds > 0:
        line += f", {format_rate(done / seconds)} per second"
        if done < total:
            line += f", {format_duration((total - done) * seconds / done)} left"
    return line


def format_rate(rate: float) -> str:
    """Format a rate by two or more digits.

    >>> [format_rate(rate) for rate in (0.0234, 2.5, 1234.5)]
    ['0.023', '2.5', '1,234']
    """
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.2g}"


def format_duration(seconds: float) -> str:
    """Format a duration as minutes and seconds, or as hours too.

    >>> [format_duration(seconds) for seconds in (0.4, 83, 3723)]
    ['0:00', '1:23', '1:02:03']
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
