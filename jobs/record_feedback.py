"""Attribute clicks and purchases to impressions, and read out experiments."""

from profile_lib.cli import main
from profile_lib.pipelines.record_feedback import run

if __name__ == "__main__":
    main(
        "record_feedback",
        run,
        __doc__,
        date_help="only impressions whose outcome this day's new rows can change; default: all",
    )
