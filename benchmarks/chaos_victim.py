"""The stream of profiles, and beside it a refresh whenever the file `ask` is there.

Not run by hand: `chaos.py` starts it and kills it. It lies with its checkpoint in one folder. What
a refresh does not show on disk by itself it tells by files in `signs`.
"""

import os
import threading
import time
import traceback
from pathlib import Path

from pyspark.sql import DataFrame

from profile_lib.cli import main
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.pipelines import stream_profiles
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model


def write_sign(folder: Path, phase: str) -> None:
    """Leave a sign."""
    (folder / "signs").mkdir(exist_ok=True)
    (folder / "signs" / f"{time.time_ns()}.{phase}").touch()


class SigningRefresh(ProfileRefresher):
    """A refresh that tells when it begins to compute."""

    def compute(self, users: DataFrame) -> None:
        """As it does, with a sign before."""
        write_sign(Path(self.settings.stream.checkpoint).parent, "computing")
        super().compute(users)


def refresh_on_request(store: Store, settings: Settings) -> None:
    """Refresh as often as asked; where that fails, the process ends as a failed job does."""
    folder = Path(settings.stream.checkpoint).parent
    ask, model = folder / "ask", load_served_model(settings)
    try:
        while True:
            if ask.is_file():
                write_sign(folder, "reading")
                SigningRefresh(store, settings, model).catch_up()
                ask.unlink()
            time.sleep(0.05)
    finally:  # never by itself
        traceback.print_exc()
        os._exit(1)


def run(store: Store, settings: Settings) -> None:
    """The job, and the refreshes in a session of their own."""
    other = store.for_stream_batches(store.spark.newSession())
    threading.Thread(target=refresh_on_request, args=(other, settings), daemon=True).start()
    stream_profiles.run(store, settings)


if __name__ == "__main__":
    main("chaos_victim", run, __doc__)
