"""Compare recommendation methods by full ranking of held-out interactions."""

from profile_lib.cli import main
from profile_lib.pipelines.evaluate_recommendations import run

if __name__ == "__main__":
    main("evaluate_recommendations", run, __doc__)
