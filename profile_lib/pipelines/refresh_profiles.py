"""events, items, users and a model → user_profiles: of whom something changed, or of all."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.as_of import add_latest_cutoff
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.changed_items import find_users_of_changed_items
from profile_lib.inference.udf import InferenceCounters
from profile_lib.pipelines.record_history import record_history
from profile_lib.pipelines.serving_model import (
    ServedModel,
    build_facts,
    load_served_model,
    predict_profiles,
)
from profile_lib.profiles.changed_users import (
    REFRESH_GUARD,
    add_deleted_profiles,
    select_users_in_buckets,
)
from profile_lib.profiles.refresh_state import (
    RefreshState,
    SourceVersions,
    find_buckets_to_rebuild,
    group_outdated_buckets,
    merge_refresh_states,
)
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, ITEMS, PROFILE_REFRESH_STATE, USER_PROFILES, USERS
from profile_lib.tables.table import user_bucket


def run(store: Store, settings: Settings, day: date | None = None, rebuild: bool = False) -> None:
    """Bring the profiles to what the tables say now.

    Computed are the users of whom events came, changed or went since the last refresh, of whom
    something else is declared, and whose items the catalogue describes otherwise. A new model or
    definition of a profile computes all, some buckets at a time: a run that was broken off goes on
    with those that are left. With a `day`, the users of whom something arrived on it, again.
    """
    refresh = ProfileRefresher(store, settings, load_served_model(settings))
    with cached(refresh.items):  # read in many places
        if rebuild:
            refresh.rebuild()
        elif day is not None:
            refresh.check_tables()
            arrived = refresh.events.where(F.to_date("ingest_ts") == F.lit(day))
            refresh.compute(arrived.select("user_id").distinct())
        else:
            refresh.catch_up()
    if refresh.n_users:
        record_history(store, timedelta(days=settings.history.retention_days), datetime.now(UTC))
    print(f"refresh_profiles: {refresh.n_users:,} users computed; {refresh.counters}")


class ProfileRefresher:
    """The tables as they are now, and what has been computed of them."""

    def __init__(self, store: Store, settings: Settings, model: ServedModel) -> None:
        self.store, self.settings, self.model = store, settings, model
        self.source_versions = SourceVersions(
            *(store.version(table) for table in (EVENTS, ITEMS, USERS))
        )
        self.events = store.read(EVENTS, self.source_versions.events)
        self.items = store.read(ITEMS, self.source_versions.items)
        self.users = store.read(USERS, self.source_versions.users)
        self.definition = model.definition(settings)
        self.n_buckets = settings.refresh.user_buckets
        self.table_ids = " ".join(store.table_id(table) for table in (EVENTS, ITEMS, USERS))
        if not store.exists(USER_PROFILES) and store.exists(PROFILE_REFRESH_STATE):  # moved away
            self._write_refresh_rows({})
        notes = self._read_refresh_rows()
        self.refresh_states = parse_refresh_states(notes)
        self.computed_from_table_ids = {row["table_ids"] for row in notes} - {None}
        self.counters = InferenceCounters.create(store.spark.sparkContext)
        self.n_users = 0

    def catch_up(self) -> None:
        """Compute what is missing or changed of every bucket, and note how far each is.

        Raises InputError as `check_tables` does.
        """
        self.check_tables()
        whole = find_buckets_to_rebuild(self.refresh_states, self.definition, self.n_buckets)
        others = sorted(set(range(self.n_buckets)) - set(whole))
        for versions, buckets in group_outdated_buckets(
            self.refresh_states, others, self.source_versions
        ).items():
            if (changed := self._changed(SourceVersions(*versions))) is None:
                whole += buckets
                continue
            self.compute(select_users_in_buckets(changed, buckets, self.n_buckets))
            self._write_refresh_states(buckets)
        size = self.settings.refresh.buckets_per_chunk
        for first in range(0, len(whole), size):
            chunk = whole[first : first + size]
            profiles = self.store.read_or_empty(USER_PROFILES)
            both = self.events.select("user_id").union(profiles.select("user_id"))
            self.compute(select_users_in_buckets(both, chunk, self.n_buckets))
            self._write_refresh_states(chunk)
            print(f"  {first + len(chunk)} of {len(whole)} buckets computed whole", flush=True)

    def check_tables(self) -> None:
        """Raise InputError where the profiles are of tables that others took the place of.

        Their versions say nothing of these: which profile knows more, nor what changed since.
        """
        if self.computed_from_table_ids - {self.table_ids}:
            raise InputError(
                f"{self.store.root}: events, items or users were made anew since user_profiles was "
                "computed of them; run python jobs/refresh_profiles.py --config FILE --rebuild"
            )

    def compute(self, users: DataFrame) -> None:
        """Compute the profiles of (user_id), and take out those of users without events."""
        with cached(users) as users:
            if not (n := users.count()):
                return
            stored = self.store.read_or_empty(USER_PROFILES).join(users, "user_id", "left_semi")
            with cached(self._behaviour(users)) as behaviour:
                present = behaviour.select("user_id", user_bucket(self.n_buckets))
                changes = add_deleted_profiles(
                    self._profiles(behaviour), stored, present, self.source_versions.events
                )
                self.store.upsert(USER_PROFILES, changes, guard=REFRESH_GUARD)
        self.n_users += n

    def rebuild(self) -> None:
        """Compute all profiles into a table made anew."""
        users = self.events.select("user_id").distinct()
        with cached(self._behaviour(users)) as behaviour:
            self.store.replace(USER_PROFILES, self._profiles(behaviour))
            self.n_users += behaviour.count()
        self._write_refresh_states(range(self.n_buckets))

    def _behaviour(self, users: DataFrame) -> DataFrame:
        known = add_latest_cutoff(self.events.join(users, "user_id", "left_semi"))
        return build_behaviour(known, self.items, **self.settings.behaviour_rules())

    def _profiles(self, behaviour: DataFrame) -> DataFrame:
        facts = build_facts(
            behaviour, self.users, self.settings, F.lit(self.source_versions.events)
        )
        return predict_profiles(facts, self.settings, self.model, self.counters)

    def _changed(self, since: SourceVersions) -> DataFrame | None:
        """user_id of all whom a change of the tables concerns, maybe twice; None where the tables
        do not tell any more."""
        feeds = [
            self.store.changes(table, before, until)
            for table, before, until in zip(
                (EVENTS, ITEMS, USERS), since, self.source_versions, strict=True
            )
        ]
        events, items, users = feeds
        if events is None or items is None or users is None:
            return None
        changed = events.select("user_id").union(users.select("user_id"))
        if since.items == self.source_versions.items:
            return changed
        before = self.store.read(ITEMS, since.items)
        return changed.union(find_users_of_changed_items(self.events, before, self.items))

    def _write_refresh_states(self, buckets: Sequence[int]) -> None:
        """Write how far these buckets are."""
        here = dict.fromkeys(buckets, RefreshState(self.definition, self.source_versions))
        found = parse_refresh_states(self._read_refresh_rows())
        self.refresh_states = merge_refresh_states(self.refresh_states, found, here, self.n_buckets)
        self._write_refresh_rows(self.refresh_states)

    def _read_refresh_rows(self) -> list[Row]:
        return self.store.read_or_empty(PROFILE_REFRESH_STATE).collect()  # one row a bucket

    def _write_refresh_rows(self, refresh_states: Mapping[int, RefreshState]) -> None:
        """One row a bucket, not by MERGE, which takes longer."""
        rows = [
            (bucket, by, *at, self.table_ids) for bucket, (by, at) in sorted(refresh_states.items())
        ]
        frame = self.store.spark.createDataFrame(rows, PROFILE_REFRESH_STATE.schema)
        self.store.replace(PROFILE_REFRESH_STATE, frame.coalesce(1))


def parse_refresh_states(notes: Sequence[Row]) -> dict[int, RefreshState]:
    """bucket → what PROFILE_REFRESH_STATE says of it."""
    return {bucket: RefreshState(by, SourceVersions(*at)) for bucket, by, *at, _ in notes}
