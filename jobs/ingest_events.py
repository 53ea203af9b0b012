"""Ingest files of any source into clean events."""

from profile_lib.cli import main
from profile_lib.pipelines.ingest_events import run

if __name__ == "__main__":
    main(
        "ingest_events",
        run,
        __doc__,
        date_help="only events that arrived on this day; default: all",
        takes_now=True,
    )
