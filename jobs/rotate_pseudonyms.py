"""Bring the pseudonyms of all tables to a new version of the key."""

from profile_lib.cli import main
from profile_lib.pipelines.rotate_pseudonyms import run

if __name__ == "__main__":
    main(
        "rotate_pseudonyms",
        run,
        __doc__,
        takes_now=True,
        flags={"vacuum": "remove the files of earlier table versions now, with the earlier ones"},
        runs_during_rotation=True,
    )
