"""events, items, users and a model → user_profiles: of whom something changed, or of all."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.command import main
from jobs.profiling import Served, facts_of, profiles_of, served_model
from jobs.record_history import record_history
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.changed import users_of_changed_items
from profile_lib.features.known import known_now
from profile_lib.inference.udf import Counts
from profile_lib.profiles.refresh import GUARD, add_gone, users_in
from profile_lib.profiles.standing import (
    Standing,
    Versions,
    buckets_behind,
    buckets_to_compute,
    noted,
)
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import (
    EVENTS,
    ITEMS,
    PROFILE_REFRESHES,
    USER_PROFILES,
    USERS,
    user_bucket,
)

REBUILD = "compute all profiles and put them in the table's place, whatever it looks like"


def run(store: Store, settings: Settings, day: date | None, rebuild: bool = False) -> None:
    """Bring the profiles to what the tables say now.

    Computed are the users of whom events came, changed or went since the last refresh, of whom
    something else is declared, and whose items the catalogue describes otherwise. A new model or
    definition of a profile computes all, some buckets at a time: a run that was broken off goes on
    with those that are left. With a `day`, the users of whom something arrived on it, again.
    """
    refresh = Refresh(store, settings, served_model(settings))
    with kept(refresh.items):  # read in many places
        if rebuild:
            refresh.rebuild()
        elif day is not None:
            refresh.check_tables()
            arrived = refresh.events.where(F.to_date("ingest_ts") == F.lit(day))
            refresh.compute(arrived.select("user_id").distinct())
        else:
            refresh.catch_up()
    if refresh.n_users:
        record_history(store, timedelta(days=settings.history.keep_days), datetime.now(UTC))
    print(f"refresh_profiles: {refresh.n_users:,} users computed; {refresh.counts}")


class Refresh:
    """The tables as they are now, and what has been computed of them."""

    def __init__(self, store: Store, settings: Settings, model: Served) -> None:
        self.store, self.settings, self.model = store, settings, model
        self.now = Versions(*(store.version(table) for table in (EVENTS, ITEMS, USERS)))
        self.events = store.read(EVENTS, self.now.events)
        self.items = store.read(ITEMS, self.now.items)
        self.users = store.read(USERS, self.now.users)
        self.definition = model.definition(settings)
        self.n_buckets = settings.refresh.user_buckets
        self.table_ids = " ".join(store.table_id(table) for table in (EVENTS, ITEMS, USERS))
        if not store.exists(USER_PROFILES) and store.exists(PROFILE_REFRESHES):  # moved away
            self._write_notes({})
        notes = self._notes()
        self.standing = standing_of(notes)
        self.computed_of = {row["table_ids"] for row in notes} - {None}
        self.counts = Counts.on(store.spark.sparkContext)
        self.n_users = 0

    def catch_up(self) -> None:
        """Compute what is missing or changed of every bucket, and note how far each is.

        Raises InputError as `check_tables` does.
        """
        self.check_tables()
        whole = buckets_to_compute(self.standing, self.definition, self.n_buckets)
        others = sorted(set(range(self.n_buckets)) - set(whole))
        for versions, buckets in buckets_behind(self.standing, others, self.now).items():
            if (changed := self._changed(Versions(*versions))) is None:
                whole += buckets
                continue
            self.compute(users_in(changed, buckets, self.n_buckets))
            self._note(buckets)
        size = self.settings.refresh.buckets_a_chunk
        for first in range(0, len(whole), size):
            chunk = whole[first : first + size]
            profiles = self.store.read_or_empty(USER_PROFILES)
            both = self.events.select("user_id").union(profiles.select("user_id"))
            self.compute(users_in(both, chunk, self.n_buckets))
            self._note(chunk)
            print(f"  {first + len(chunk)} of {len(whole)} buckets computed whole", flush=True)

    def check_tables(self) -> None:
        """Raise InputError where the profiles are of tables that others took the place of.

        Their versions say nothing of these: which profile knows more, nor what changed since.
        """
        if self.computed_of - {self.table_ids}:
            raise InputError(
                f"{self.store.root}: events, items or users were made anew since user_profiles was "
                "computed of them; run python jobs/refresh_profiles.py --config FILE --rebuild"
            )

    def compute(self, users: DataFrame) -> None:
        """Compute the profiles of (user_id), and take out those of users without events."""
        with kept(users) as users:
            if not (n := users.count()):
                return
            stored = self.store.read_or_empty(USER_PROFILES).join(users, "user_id", "left_semi")
            with kept(self._behaviour(users)) as behaviour:
                present = behaviour.select("user_id", user_bucket(self.n_buckets))
                changes = add_gone(self._profiles(behaviour), stored, present, self.now.events)
                self.store.upsert(USER_PROFILES, changes, guard=GUARD)
        self.n_users += n

    def rebuild(self) -> None:
        """Compute all profiles into a table made anew."""
        users = self.events.select("user_id").distinct()
        with kept(self._behaviour(users)) as behaviour:
            self.store.replace(USER_PROFILES, self._profiles(behaviour))
            self.n_users += behaviour.count()
        self._note(range(self.n_buckets))

    def _behaviour(self, users: DataFrame) -> DataFrame:
        known = known_now(self.events.join(users, "user_id", "left_semi"))
        return build_behaviour(known, self.items, **self.settings.behaviour_rules())

    def _profiles(self, behaviour: DataFrame) -> DataFrame:
        facts = facts_of(behaviour, self.users, self.settings, F.lit(self.now.events))
        return profiles_of(facts, self.settings, self.model, self.counts)

    def _changed(self, since: Versions) -> DataFrame | None:
        """user_id of all whom a change of the tables concerns, maybe twice; None where the tables
        do not tell any more."""
        feeds = [
            self.store.changes(table, before, until)
            for table, before, until in zip((EVENTS, ITEMS, USERS), since, self.now, strict=True)
        ]
        events, items, users = feeds
        if events is None or items is None or users is None:
            return None
        changed = events.select("user_id").union(users.select("user_id"))
        if since.items == self.now.items:
            return changed
        before = self.store.read(ITEMS, since.items)
        return changed.union(users_of_changed_items(self.events, before, self.items))

    def _note(self, buckets: Sequence[int]) -> None:
        """Write how far these buckets are."""
        here = dict.fromkeys(buckets, Standing(self.definition, self.now))
        found = standing_of(self._notes())
        self.standing = noted(self.standing, found, here, self.n_buckets)
        self._write_notes(self.standing)

    def _notes(self) -> list[Row]:
        return self.store.read_or_empty(PROFILE_REFRESHES).collect()  # one row a bucket

    def _write_notes(self, standing: Mapping[int, Standing]) -> None:
        """One row a bucket, not by MERGE, which takes longer."""
        rows = [(bucket, by, *at, self.table_ids) for bucket, (by, at) in sorted(standing.items())]
        frame = self.store.spark.createDataFrame(rows, PROFILE_REFRESHES.schema)
        self.store.replace(PROFILE_REFRESHES, frame.coalesce(1))


def standing_of(notes: Sequence[Row]) -> dict[int, Standing]:
    """bucket → what PROFILE_REFRESHES says of it."""
    return {bucket: Standing(by, Versions(*at)) for bucket, by, *at, _ in notes}


if __name__ == "__main__":
    main("refresh_profiles", run, __doc__, {"rebuild": REBUILD})
