"""Checks of the tables that the core jobs leave."""

from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS, EXAMPLES, SESSIONS, USER_PROFILES


def assert_tables_agree(store: Store) -> None:
    """Each user with events has one valid profile, and sessions hold all events."""
    events, profiles = store.read(EVENTS), store.read(USER_PROFILES)
    users = events.select("user_id").distinct()
    assert profiles.count() == users.count()
    assert users.join(profiles, "user_id", "left_anti").isEmpty()
    in_sessions = store.read(SESSIONS).agg(F.sum("n_events")).first()[0]
    assert in_sessions == events.count()
    splits = {row.split for row in store.read(EXAMPLES).select("split").distinct().collect()}
    assert splits == {"train", "validation", "test"}
    is_probability = F.col("propensities")["buys"].between(0, 1)
    assert profiles.where(~is_probability | (F.size("recent") == 0)).isEmpty()
