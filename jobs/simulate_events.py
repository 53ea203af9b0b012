"""Write the raw events of a simulated shop with known truth."""

from profile_lib.cli import main
from profile_lib.pipelines.simulate_events import run

if __name__ == "__main__":
    main("simulate_events", run, __doc__)
