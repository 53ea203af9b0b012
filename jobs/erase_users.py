"""Erase people from all tables and copies, and keep them out."""

from profile_lib.cli import main
from profile_lib.pipelines.erase_users import run

if __name__ == "__main__":
    main("erase_users", run, __doc__, takes_now=True)
