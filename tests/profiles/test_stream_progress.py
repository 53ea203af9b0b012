"""What a stream tells of itself: a line a minute, a lag that is too long, Prometheus' metrics."""

import socket
from urllib.request import urlopen

import pytest

from profile_lib.errors import InputError
from profile_lib.profiles.stream_progress import StreamProgress


def test_a_report_comes_once_its_time_has_passed_and_tells_what_was_since_the_last():
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
        "20.0 events/s in 2 batches of 1.5 s; lag 2.5 s; 7 users await the model"
    )
    now[0] = 180.0
    assert progress.report() == (
        "0.0 events/s in 0 batches of 0.0 s; lag 2.5 s; 7 users await the model"
    )


def test_a_lag_above_the_limit_is_told_with_the_lag(capsys):
    progress = StreamProgress(60, 10)
    progress.report_lag(10.0)
    assert capsys.readouterr().out == ""
    progress.report_lag(83.4)
    assert "behind by 83 s, stream.max_lag_seconds is 10" in capsys.readouterr().out


def test_prometheus_reads_the_metrics_on_loopback():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    progress = StreamProgress(60, 10)
    with progress.serve_metrics(port):
        progress.count_batch(events=5, seconds=2.5)
        progress.report_lag(3.0)
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            told = answer.read().decode()
        with pytest.raises(InputError, match=rf"metrics_port: {port}: Address already in use"):
            progress.serve_metrics(port).__enter__()
    with progress.serve_metrics(port):  # free again
        pass
    lines = set(told.splitlines())
    assert {
        "profiles_stream_events_total 5.0",
        'profiles_stream_batch_seconds_bucket{le="2.0"} 0.0',
        'profiles_stream_batch_seconds_bucket{le="3.0"} 1.0',
        "profiles_stream_lag_seconds 3.0",
        "profiles_stream_pending_users 0.0",
    } <= lines
