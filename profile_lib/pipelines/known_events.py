"""Find the moment until which the stored events are known."""

from datetime import datetime

from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.spark.timestamps import known_until, midnight
from profile_lib.tables import EVENTS


def find_known_until(store: Store) -> datetime:
    """Return the moment until which the stored events are known, as `known_until` does.

    Reads only the last days of `events`: an event cannot have happened after its date. Raises
    InputError if there is no event.
    """
    events = store.read(EVENTS)
    listed = store.files(EVENTS).select("event_date").distinct().collect()  # one row per day
    for day in sorted((row["event_date"] for row in listed), reverse=True):
        recent = events.where(F.col("event_date") >= F.lit(day))
        # The files of a day whose events were all deleted remain for a while.
        if not recent.isEmpty() and (until := known_until(recent)) >= midnight(day.isoformat()):
            return until
    return known_until(events)
