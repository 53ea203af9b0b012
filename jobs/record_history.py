"""Append profile changes to the profile history."""

from profile_lib.cli import main
from profile_lib.pipelines.record_history import run

if __name__ == "__main__":
    main("record_history", run, __doc__, takes_now=True)
