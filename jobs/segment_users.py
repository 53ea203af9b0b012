"""Segment users by RFM, interest clusters, look-alikes and audience rules."""

from profile_lib.cli import main
from profile_lib.pipelines.segment_users import run

if __name__ == "__main__":
    main("segment_users", run, __doc__)
