"""Pretrain a text encoder on the shop's own texts."""

from profile_lib.cli import main
from profile_lib.pipelines.pretrain_encoder import run

if __name__ == "__main__":
    main(
        "pretrain_encoder",
        run,
        __doc__,
        date_help="only examples with a cutoff up to the end of this day; default: all",
        flags={"resume": "continue from the last checkpoint"},
    )
