"""Compact small files of all tables and delete expired ones."""

from profile_lib.cli import main
from profile_lib.pipelines.maintain_tables import run

if __name__ == "__main__":
    main(
        "maintain_tables",
        run,
        __doc__,
        takes_now=True,
        flags={"force": "allow a retention shorter than maintain.min_retention_hours"},
    )
