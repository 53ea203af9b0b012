"""Refresh the profiles of changed users, or of all users."""

import logging
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.catalog_words import ProjectedCatalog, project_catalog
from profile_lib.features.changed_items import find_users_of_changed_items
from profile_lib.features.histories import unfold_events
from profile_lib.inference.udf import InferenceCounters
from profile_lib.people.membership import find_people_of_ids
from profile_lib.pipelines.bucket_refresh import (
    BucketRefresher,
    replace_state_rows,
    upsert_rows_of_users,
)
from profile_lib.pipelines.person_data import (
    find_changed_members,
    people_version,
    read_person_histories,
    read_person_users,
)
from profile_lib.pipelines.record_history import record_history
from profile_lib.pipelines.serving_model import (
    ServedModel,
    build_current_behaviour,
    build_facts,
    load_served_model,
    predict_profiles,
)
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.profiles.changed_facts import find_users_of_changed_facts
from profile_lib.profiles.merge_guards import REFRESH_GUARD
from profile_lib.profiles.refresh_state import SourceVersions
from profile_lib.spark.session import cached
from profile_lib.tables import (
    EVENTS,
    ITEMS,
    PEOPLE,
    PROFILE_REFRESH_STATE,
    USER_HISTORIES,
    USER_PROFILES,
    USERS,
)
from profile_lib.tables.table import user_bucket

log = logging.getLogger(__name__)


def run(
    store: Store,
    settings: Settings,
    day: date | None = None,
    rebuild: bool = False,
    *,
    now: datetime,
) -> None:
    """Bring the profiles up to date with events, items and users.

    A profile is computed again if events of its user were added, changed or deleted since the last
    refresh, if the user's declared attributes changed, or if the catalog changed for an item that
    the user interacted with or a word that the user searched for. A new model or profile definition
    computes all users, a few buckets at a time: an interrupted run continues with the buckets that
    are left. With a `day`, the users with events that were loaded on it are computed again; with
    `rebuild` the table is replaced. Then the changes are recorded in the profile history, which is
    kept for `history.retention_days` before `now`.

    Raises InputError as `load_served_model` and `ProfileRefresher.check_tables` do.
    """
    refresh = ProfileRefresher(store, settings, load_served_model(settings))
    with cached(refresh.items):  # read in many places
        if rebuild:
            refresh.rebuild()
        elif day is not None:
            refresh.check_tables()
            loaded = store.read(EVENTS).where(F.col("load_date") == F.lit(day))
            refresh.compute(find_people_of_ids(loaded, refresh.people))
        else:
            refresh.catch_up()
    if refresh.n_users:
        record_history(store, timedelta(days=settings.history.retention_days), now)
    log.info("refresh_profiles: %s users computed; %s", f"{refresh.n_users:,}", refresh.counters)


class ProfileRefresher(BucketRefresher):
    """A refresh of `user_profiles` from current histories, items and users.

    The histories are brought up to date with `events` first.
    """

    def __init__(self, store: Store, settings: Settings, model: ServedModel) -> None:
        sources = (EVENTS, ITEMS, USERS)
        self.settings, self.model = settings, model
        # Histories may know later events than this version; profiles then claim less than is true.
        self.source_versions = SourceVersions(
            update_histories(store, settings),
            store.version(ITEMS),
            store.version(USERS),
            people_version(store),
        )
        self.people = store.read_or_empty(PEOPLE)
        self.items = store.read(ITEMS, self.source_versions.items)
        self.users = read_person_users(store, self.source_versions.users)
        self.table_ids = " ".join(store.table_id(table) for table in sources)
        if store.exists(PROFILE_REFRESH_STATE) and not store.exists(USER_PROFILES):  # moved away
            replace_state_rows(store, PROFILE_REFRESH_STATE, [])
        super().__init__(
            store,
            USER_PROFILES,
            PROFILE_REFRESH_STATE,
            definition=model.definition(settings),
            versions=self.source_versions,
            n_buckets=settings.refresh.user_buckets,
            buckets_per_chunk=settings.refresh.buckets_per_chunk,
            extra_values=(self.table_ids,),
        )
        self.counters = InferenceCounters.create(store.spark.sparkContext)

    def catch_up(self) -> None:
        """Compute missing and outdated profiles. Raises InputError as `check_tables` does."""
        self.check_tables()
        super().catch_up()

    def check_tables(self) -> None:
        """Raise InputError if a source table was recreated since the profiles were computed.

        The versions of a recreated table start again, so they cannot be compared with stored ones.
        """
        if {row["table_ids"] for row in self.state_rows} - {None, self.table_ids}:
            raise InputError(
                f"{self.store.root}: events, items or users were recreated since user_profiles was "
                "computed from them; run python jobs/refresh_profiles.py --config FILE --rebuild"
            )

    def compute(self, users: DataFrame, buckets: Sequence[int] | None = None) -> None:
        """Compute the profiles of distinct users, and delete those of users without events."""
        with cached(users) as users:
            if not (n := users.count()):
                return
            with cached(self._build_behaviour(users, buckets)) as behaviour:
                bucket = user_bucket(self.n_buckets).alias("user_bucket")
                upsert_rows_of_users(
                    self.store,
                    USER_PROFILES,
                    users,
                    self._predict(behaviour),
                    present=behaviour.select("user_id", bucket),
                    versions={"events_version": F.lit(self.source_versions.events).cast("long")},
                    guard=REFRESH_GUARD,
                )
        self.n_users += n

    def rebuild(self) -> None:
        """Compute all profiles and replace the table."""
        with cached(self._build_behaviour()) as behaviour:
            self.store.replace(USER_PROFILES, self._predict(behaviour))
            self.n_users += behaviour.count()
        self.write_states(range(self.n_buckets))

    def select_source_users(self) -> DataFrame:
        """Return (user_id) of all people with a history."""
        return find_people_of_ids(self.store.read(USER_HISTORIES), self.people)

    def find_changed_users(self, since: tuple[int, ...]) -> DataFrame | None:
        """Return (user_id) of people with changed events, attributes, items or ids.

        People may repeat. Returns None if a change feed no longer reaches back to `since`.
        """
        before = SourceVersions(*since)
        members = find_changed_members(self.store, before.people, self.source_versions.people)
        if members is None:
            return None
        events, items, users = self._read_change_feeds(before)
        if events is None or items is None or users is None:
            return None
        changed = events.select("user_id").union(find_users_of_changed_facts(users))
        if before.items != self.source_versions.items:
            items_before = self.store.read(ITEMS, before.items)
            events = unfold_events(self.store.read(USER_HISTORIES))
            changed = changed.union(find_users_of_changed_items(events, items_before, self.items))
        return find_people_of_ids(changed, self.people).union(members)

    def _read_change_feeds(self, before: SourceVersions) -> Iterator[DataFrame | None]:
        now = self.source_versions
        yield self.store.changes(EVENTS, before.events, now.events)
        yield self.store.changes(ITEMS, before.items, now.items)
        yield self.store.changes(USERS, before.users, now.users)

    def _build_behaviour(
        self, users: DataFrame | None = None, buckets: Sequence[int] | None = None
    ) -> DataFrame:
        histories = read_person_histories(self.store, self.settings, users, buckets)
        return build_current_behaviour(histories, self.catalog, self.settings)

    @cached_property
    def catalog(self) -> ProjectedCatalog:
        """The projected items, which all chunks of users share."""
        return project_catalog(self.items).checkpoint()

    def _predict(self, behaviour: DataFrame) -> DataFrame:
        events_version = F.lit(self.source_versions.events)
        facts = build_facts(behaviour, self.users, self.settings, events_version)
        return predict_profiles(facts, self.settings, self.model, self.counters)
