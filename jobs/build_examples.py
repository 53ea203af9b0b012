"""Build training examples: inputs as of a cutoff, labels from the horizon after it."""

from profile_lib.cli import main
from profile_lib.pipelines.build_examples import run

if __name__ == "__main__":
    main("build_examples", run, __doc__, date_help="only cutoffs of this day; default: all")
