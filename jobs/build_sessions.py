"""Cut events into sessions."""

from profile_lib.cli import main
from profile_lib.pipelines.build_sessions import run

if __name__ == "__main__":
    main(
        "build_sessions",
        run,
        __doc__,
        date_help="only sessions that events loaded on this day can change; default: all",
    )
