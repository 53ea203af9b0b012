"""What a stream does in, a line a minute and Prometheus' metrics out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from profile_lib.errors import InputError

BUCKETS = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 30, 60, 120, 300)  # seconds of a batch


class StreamProgress:
    """The work of one stream's batches, summed between two reports.

    The metrics are those of `registry`: `profiles_stream_…`.
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
        name, to = "profiles_stream_", self.registry
        self.events = Counter(f"{name}events", "Rows of the change feed taken in", registry=to)
        self.batch_seconds = Histogram(
            f"{name}batch_seconds", "Time of a batch", buckets=BUCKETS, registry=to
        )
        self.events_per_second = Gauge(
            f"{name}events_per_second", "Events a second since the last report", registry=to
        )
        self.lag = Gauge(
            f"{name}lag_seconds", "How long the event waited that waited longest", registry=to
        )
        self.pending_users = Gauge(f"{name}pending_users", "Users who await the model", registry=to)
        self._reset()

    def _reset(self) -> None:
        self._since, self._events, self._batches, self._seconds = self.clock(), 0, 0, 0.0

    @contextmanager
    def serve_metrics(self, port: int) -> Iterator[None]:
        """Answer Prometheus on this machine's loopback at `port` while the body runs.

        Raises InputError where the port is taken.
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
        """Count a batch that is done."""
        self.events.inc(events)
        self.batch_seconds.observe(seconds)
        self._events += events
        self._batches += 1
        self._seconds += seconds

    def report_lag(self, seconds: float) -> None:
        """How long the event of a batch waited that waited longest; said where it is too long."""
        self.lag.set(seconds)
        if seconds > self.max_lag_seconds:
            print(
                f"stream_profiles: behind by {seconds:.0f} s, stream.max_lag_seconds is "
                f"{self.max_lag_seconds:g}; give it more cores, or fewer stream.encoder_seconds",
                flush=True,
            )

    def report(self) -> str | None:
        """The line of the time since the last one, where that is long enough ago."""
        passed = self.clock() - self._since
        if passed < self.report_seconds:
            return None
        self.events_per_second.set(self._events / passed)
        mean = self._seconds / self._batches if self._batches else 0.0
        line = (
            f"{self._events / passed:,.1f} events/s in {self._batches} batches of {mean:.1f} s; "
            f"lag {self._value(self.lag):.1f} s; {self._value(self.pending_users):,.0f} users await the "
            "model"
        )
        self._reset()
        return line

    def _value(self, gauge: Gauge) -> float:
        (metric,) = gauge.collect()
        return float(metric.samples[0].value)
