"""Compute the profiles of users whose data changed."""

from profile_lib.cli import main
from profile_lib.pipelines.refresh_profiles import run

if __name__ == "__main__":
    main(
        "refresh_profiles",
        run,
        __doc__,
        date_help="users with events loaded on this day; default: users whose data changed",
        takes_now=True,
        flags={"rebuild": "compute all profiles and replace the table"},
    )
