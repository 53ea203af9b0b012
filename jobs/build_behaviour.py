"""Compute what was known of each user at the example cutoffs."""

from profile_lib.cli import main
from profile_lib.pipelines.build_behaviour import run

if __name__ == "__main__":
    main("build_behaviour", run, __doc__, date_help="only cutoffs of this day; default: all")
