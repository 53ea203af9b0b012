"""Fit the candidate sources and the ranker of a recommender."""

from profile_lib.cli import main
from profile_lib.pipelines.fit_recommender import run

if __name__ == "__main__":
    main("fit_recommender", run, __doc__)
