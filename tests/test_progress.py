"""Long loops report what is done, how fast, and the time left."""

import logging

from profile_lib.progress import Progress


def test_the_time_left_assumes_the_rate_so_far(caplog):
    moments = iter([0.0, 10.0, 40.0])
    log = logging.getLogger("profile_lib.test")
    progress = Progress(log, "buckets", total=8, clock=lambda: next(moments))
    progress.advance(2)
    progress.advance(6)
    assert caplog.messages == [
        "  2 of 8 buckets, 0.2 per second, 0:30 left",
        "  8 of 8 buckets, 0.2 per second",
    ]
    assert caplog.records[0].fields == {"done": 2, "total": 8, "seconds": 10.0}
