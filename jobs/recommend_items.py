"""Write ranked item lists for users whose profile changed."""

from profile_lib.cli import main
from profile_lib.pipelines.recommend_items import run

if __name__ == "__main__":
    main("recommend_items", run, __doc__)
