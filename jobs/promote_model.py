"""Promote the challenger model if it beats the champion on the test split."""

from profile_lib.cli import main
from profile_lib.pipelines.promote_model import run

if __name__ == "__main__":
    main("promote_model", run, __doc__, flags={"rollback": "restore the previous champion"})
