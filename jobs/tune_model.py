"""Search training settings over rolling time windows."""

from profile_lib.cli import main
from profile_lib.pipelines.tune_model import run

if __name__ == "__main__":
    main(
        "tune_model",
        run,
        __doc__,
        date_help="only examples with a cutoff up to the end of this day; default: all",
    )
