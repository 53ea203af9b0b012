"""Distil a trained model into a smaller student and prune its attention heads."""

from profile_lib.cli import main
from profile_lib.pipelines.compress_model import run

if __name__ == "__main__":
    main(
        "compress_model",
        run,
        __doc__,
        date_help="only examples with a cutoff up to the end of this day; default: all",
        flags={"resume": "continue from the last checkpoint"},
    )
