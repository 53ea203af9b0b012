"""Report the progress of a stream in log lines and as Prometheus metrics."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from profile_lib.errors import InputError

METRIC_PREFIX = "profiles_stream_"
SECONDS_BUCKETS = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 30, 60, 120, 300)

log = logging.getLogger(__name__)


class StreamProgress:
    """The batches of a stream since its last report, and its metrics for Prometheus.

    A report is due every `report_seconds`; an event that waits longer than `max_lag_seconds` is
    logged as a warning. `clock` returns seconds and never goes back.
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
            f"{METRIC_PREFIX}events",
            "Rows read from the change feed",
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            f"{METRIC_PREFIX}batch_seconds",
            "Duration of a batch",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.events_per_second = self._gauge("events_per_second", "Rate since the last report")
        self.lag = self._gauge("lag_seconds", "Longest wait of an event in the last batch")
        self.pending_users = self._gauge("pending_users", "Users with pending input")
        self._reset()

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(f"{METRIC_PREFIX}{name}", description, registry=self.registry)

    def _reset(self) -> None:
        self._since, self._events, self._batches, self._seconds = self.clock(), 0, 0, 0.0

    @contextmanager
    def serve_metrics(self, port: int) -> Iterator[None]:
        """Serve the metrics on this machine's loopback address while the body runs.

        Raises InputError if the port cannot be opened.
        """
        try:
            server, thread = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except OSError as error:
            raise InputError(
                f"stream.metrics_port: port {port} cannot be opened ({error.strerror}); "
                "wanted a free port, or null to serve no metrics"
            ) from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def count_batch(self, events: int, seconds: float) -> None:
        """Count a finished batch and its events; `seconds` is its duration."""
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
                f"stream: an event waited {seconds:.0f} s, wanted at most stream.max_lag_seconds "
                f"({self.max_lag_seconds:g}); give the stream more cores, or lower "
                "stream.encoder_seconds"
            )

    def report(self) -> str | None:
        """Return a line about the batches since the last report; None before its time."""
        elapsed = self.clock() - self._since
        if elapsed < self.report_seconds:
            return None
        rate = self._events / elapsed
        self.events_per_second.set(rate)
        mean_seconds = self._seconds / self._batches if self._batches else 0.0
        line = (
            f"{rate:,.1f} events/s in {self._batches} batches of {mean_seconds:.1f} s; "
            f"lag {_gauge_value(self.lag):.1f} s; "
            f"{_gauge_value(self.pending_users):,.0f} users with pending input"
        )
        self._reset()
        return line


def _gauge_value(gauge: Gauge) -> float:
    (metric,) = gauge.collect()
    return float(metric.samples[0].value)
