"""Update profiles from a stream of events."""

import time
from functools import partial

from profile_lib.cli import main
from profile_lib.pipelines.stream_profiles import run

if __name__ == "__main__":
    main(
        "stream_profiles",
        partial(run, clock=time.time),
        __doc__,
        flags={"once": "process what is available, then stop"},
    )
