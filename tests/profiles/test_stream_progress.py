"""Check what a stream reports: a line per minute, a lag above the limit, and metrics."""

import logging
import socket
from urllib.request import urlopen

import pytest

from profile_lib.errors import InputError
from profile_lib.profiles.stream_progress import StreamProgress


def test_a_report_comes_after_its_interval_and_sums_up_the_batches_since_the_last_one():
    now = [0.0]
    progress = StreamProgress(60, 10, clock=lambda: now[0])
    progress.count_batch(events=900, seconds=2.0)
    progress.count_batch(events=300, seconds=1.0)
    progress.report_lag(2.5)
    progress.pending_users.set(7)
    now[0] = 59.0
    assert progress.report() is None
    now[0] = 60.0
    assert progress.report() == (
        "20.0 events/s in 2 batches of 1.5 s; lag 2.5 s; 7 users with pending input"
    )
    now[0] = 180.0
    assert progress.report() == (
        "0.0 events/s in 0 batches of 0.0 s; lag 2.5 s; 7 users with pending input"
    )


def test_a_lag_above_the_limit_is_a_warning_that_names_the_lag(caplog):
    caplog.set_level(logging.WARNING, "profile_lib")  # libraries change the level of the root
    progress = StreamProgress(60, 10)
    progress.report_lag(10.0)
    assert caplog.messages == []
    progress.report_lag(83.4)
    assert "waited 83 s, wanted at most stream.max_lag_seconds (10)" in caplog.messages[0]


def test_prometheus_reads_the_metrics_on_the_loopback_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    progress = StreamProgress(60, 10)
    with progress.serve_metrics(port):
        progress.count_batch(events=5, seconds=2.5)
        progress.report_lag(3.0)
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = set(answer.read().decode().splitlines())
        with pytest.raises(InputError, match=rf"port {port} cannot be opened \(Address already"):
            progress.serve_metrics(port).__enter__()
    with progress.serve_metrics(port):  # the port is free again
        pass
    assert {
        "profiles_stream_events_total 5.0",
        'profiles_stream_batch_seconds_bucket{le="2.0"} 0.0',
        'profiles_stream_batch_seconds_bucket{le="3.0"} 1.0',
        "profiles_stream_lag_seconds 3.0",
        "profiles_stream_pending_users 0.0",
    } <= lines
