"""Train the profile model, and compare its test measures with baselines."""

from profile_lib.cli import main
from profile_lib.pipelines.train_model import run

if __name__ == "__main__":
    main(
        "train_model",
        run,
        __doc__,
        date_help="only examples with a cutoff up to the end of this day; default: all",
        flags={"resume": "continue from the last checkpoint"},
    )
