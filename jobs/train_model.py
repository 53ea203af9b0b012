"""Train the profile model, and compare its test measures with baselines."""

from profile_lib.cli import main
from profile_lib.pipelines.train_model import run

if __name__ == "__main__":
    main(
        "train_model",
        run,
        __doc__,
        takes_date=True,
        flags={"resume": "continue from the last checkpoint"},
    )
