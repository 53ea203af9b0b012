"""Draft the mapping of files that nobody has described yet."""

from profile_lib.cli import main
from profile_lib.pipelines.draft_mapping import run

if __name__ == "__main__":
    main("draft_mapping", run, __doc__)
