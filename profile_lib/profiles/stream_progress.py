"""Measure a stream's batches: report them in a line per minute and as Prometheus metrics."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from profile_lib.errors import InputError

PREFIX = "profiles_stream_"  # of all metric names
SECONDS_BUCKETS = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 30, 60, 120, 300)

log = logging.getLogger(__name__)


class StreamProgress:
    """Sum up the batches of one stream between two reports.

    `registry` holds the metrics for Prometheus. `clock` returns seconds and never goes back.
    """

    def __init__(
        self,
        report_seconds: float,
        max_lag_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.report_seconds, self.max_lag_seconds = report_seconds, max_lag_seconds
        self.clock = clock
        self.registry = CollectorRegistry()
        self.events = Counter(
            f"{PREFIX}events", "Rows of the change feed that were read", registry=self.registry
        )
        self.batch_seconds = Histogram(
            f"{PREFIX}batch_seconds",
            "Duration of a batch",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.events_per_second = self._gauge("events_per_second", "Rate since the last report")
        self.lag = self._gauge("lag_seconds", "Longest wait of an event in the last batch")
        self.pending_users = self._gauge("pending_users", "Users who wait for the model")
        self._reset()

    def _gauge(self, name: str, comment: str) -> Gauge:
        return Gauge(f"{PREFIX}{name}", comment, registry=self.registry)

    def _reset(self) -> None:
        self._since, self._events, self._batches, self._seconds = self.clock(), 0, 0, 0.0

    @contextmanager
    def serve_metrics(self, port: int) -> Iterator[None]:
        """Serve the metrics on this machine's loopback address while the body runs.

        Raises InputError if the port is taken.
        """
        try:
            server, thread = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except OSError as error:
            raise InputError(f"stream.metrics_port: {port}: {error.strerror}") from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def count_batch(self, events: int, seconds: float) -> None:
        """Count a finished batch."""
        self.events.inc(events)
        self.batch_seconds.observe(seconds)
        self._events += events
        self._batches += 1
        self._seconds += seconds

    def report_lag(self, seconds: float) -> None:
        """Record the longest wait of an event; warn if it is above the limit."""
        self.lag.set(seconds)
        if seconds > self.max_lag_seconds:
            log.warning(
                f"behind by {seconds:.0f} s, stream.max_lag_seconds is {self.max_lag_seconds:g}; "
                "give it more cores, or fewer stream.encoder_seconds"
            )

    def report(self) -> str | None:
        """Return a line about the time since the last report; None before `report_seconds`."""
        passed = self.clock() - self._since
        if passed < self.report_seconds:
            return None
        rate = self._events / passed
        self.events_per_second.set(rate)
        mean_seconds = self._seconds / self._batches if self._batches else 0.0
        line = (
            f"{rate:,.1f} events/s in {self._batches} batches of {mean_seconds:.1f} s; "
            f"lag {_read(self.lag):.1f} s; "
            f"{_read(self.pending_users):,.0f} users wait for the model"
        )
        self._reset()
        return line


def _read(gauge: Gauge) -> float:
    (metric,) = gauge.collect()
    return float(metric.samples[0].value)
