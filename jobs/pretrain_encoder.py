"""Pretrain a text encoder on the shop's own texts."""

from profile_lib.cli import main
from profile_lib.pipelines.pretrain_encoder import run

if __name__ == "__main__":
    main(
        "pretrain_encoder",
        run,
        __doc__,
        takes_date=True,
        flags={"resume": "continue from the last checkpoint"},
    )
