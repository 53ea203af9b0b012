"""Stream profiles, and refresh them whenever the file `refresh_request` appears.

The trial starts and kills this module. The checkpoint lies in the trial's folder; phases of a
refresh that leave nothing on disk are shown by files in its folder `signs`.
"""

import os
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame

from profile_lib.cli import main
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.pipelines import stream_profiles
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model


def write_sign(folder: Path, phase: str) -> None:
    """Show on disk that a phase begins."""
    (folder / "signs").mkdir(exist_ok=True)
    (folder / "signs" / f"{time.time_ns()}.{phase}").touch()


class SigningRefresher(ProfileRefresher):
    """A refresher that shows on disk when it begins to compute."""

    def compute(self, users: DataFrame, buckets: Sequence[int] | None = None) -> None:
        """Write the sign, then compute."""
        write_sign(Path(self.settings.stream.checkpoint).parent, "computing")
        super().compute(users, buckets)


def refresh_on_request(store: Store, settings: Settings) -> None:
    """Refresh at each request; a failure ends the process, as it ends a job."""
    folder = Path(settings.stream.checkpoint).parent
    request_file, model = folder / "refresh_request", load_served_model(settings)
    try:
        while True:
            if request_file.is_file():
                write_sign(folder, "reading")
                SigningRefresher(store, settings, model).catch_up()
                request_file.unlink()
            time.sleep(0.05)
    finally:  # only an error ends the loop
        traceback.print_exc()
        os._exit(1)


def run(store: Store, settings: Settings) -> None:
    """Run the streaming job, and the refreshes in a Spark session of their own."""
    other = store.for_stream_batches(store.spark.newSession())
    threading.Thread(target=refresh_on_request, args=(other, settings), daemon=True).start()
    stream_profiles.run(store, settings, clock=time.time)


if __name__ == "__main__":
    main("chaos_victim", run, __doc__)
