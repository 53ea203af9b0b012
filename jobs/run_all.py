"""Run the core jobs in order, from raw events to profiles."""

from profile_lib.cli import main
from profile_lib.pipelines.run_all import run

if __name__ == "__main__":
    main("run_all", run, __doc__, takes_now=True)
