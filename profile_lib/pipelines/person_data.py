"""Read the events and histories of people instead of ids.

The events of a linked id are known to the person from the moment at which the link was known.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.dimensions import user_columns
from profile_lib.events.facts import facts_or_empty, merge_facts
from profile_lib.features.as_of import PAIR, build_histories_as_of, select_histories_as_of
from profile_lib.features.histories import HISTORY_COLUMNS, unfold_events
from profile_lib.features.person_histories import merge_person_histories
from profile_lib.people.membership import find_ids_of_people
from profile_lib.people.persons import add_person
from profile_lib.pipelines.link_people import find_people_changes
from profile_lib.pipelines.user_histories import history_limits, update_histories
from profile_lib.tables import EVENTS, PEOPLE, USER_HISTORIES, USERS
from profile_lib.tables.table import USER_BUCKET

NO_PEOPLE = -1  # stands for the version of `people` while there is no such table


def people_version(store: Store) -> int:
    """Return the version of `people`, or NO_PEOPLE."""
    return store.version(PEOPLE) if store.exists(PEOPLE) else NO_PEOPLE


def find_changed_members(store: Store, since: int | None, until: int) -> DataFrame | None:
    """Find the people who gained or lost ids between two versions of `people`: user_id.

    Returns None if that is unknown: the change feed does not reach back, or `since` is None.
    """
    people = store.read_or_empty(PEOPLE)
    if since == until:
        return people.limit(0).select("user_id")
    if since == NO_PEOPLE:  # then each person of several ids is new
        return people.select(F.explode(F.array("user_id", "person_id")).alias("user_id"))
    changes = None if since is None else find_people_changes(store, since, until)
    return None if changes is None else changes.select(F.col("person_id").alias("user_id"))


def read_person_events(
    store: Store, version: int | None = None, persons: DataFrame | None = None
) -> DataFrame:
    """Read `events` with the person in place of the id in user_id.

    With `persons`, only the events of people in its column user_id. `ingest_ts` is not before the
    moment from which the id was known to be of this person.
    """
    events = store.read(EVENTS, version)
    if persons is None:
        return _name_people(store, events)
    ids = find_ids_of_people(persons, store.read_or_empty(PEOPLE))
    named = _name_people(store, events.join(ids, "user_id", "left_semi"))
    return named.join(persons, "user_id", "left_semi")


def _name_people(store: Store, events: DataFrame) -> DataFrame:
    if not store.exists(PEOPLE):
        return events
    named = add_person(events, store.read(PEOPLE))
    is_other = F.col("person_id") != F.col("user_id")
    known_ts = F.when(is_other, F.col("person_known_ts"))
    columns = {"user_id": F.col("person_id"), "ingest_ts": F.greatest("ingest_ts", known_ts)}
    return named.withColumns(columns).select(*events.columns)


def name_people_at(store: Store, rows: DataFrame, time: str) -> DataFrame:
    """Put the person in place of the id in user_id, as of the column `time`."""
    if not store.exists(PEOPLE):
        return rows
    named = add_person(rows.withColumn("event_ts", F.col(time)), store.read(PEOPLE))
    return named.withColumn("user_id", F.col("person_id")).select(*rows.columns)


def read_person_histories(
    store: Store,
    settings: Settings,
    persons: DataFrame | None = None,
    buckets: Sequence[int] | None = None,
) -> DataFrame:
    """Read the histories of people, all or those in the column user_id of `persons`.

    With `buckets`, all persons are in these buckets of users. Returns user_id, which holds the
    person, and HISTORY_COLUMNS. The tables are read at their versions of now, so that all parts of
    the result agree while other jobs write.
    """
    histories = store.read(USER_HISTORIES, store.version(USER_HISTORIES))
    is_in_bucket = F.lit(True) if buckets is None else F.col(USER_BUCKET).isin(*buckets)
    if not store.exists(PEOPLE):
        histories = histories.where(is_in_bucket).select("user_id", *HISTORY_COLUMNS)
        return histories if persons is None else histories.join(persons, "user_id", "left_semi")
    people = store.read(PEOPLE, store.version(PEOPLE))
    if buckets is not None:  # other ids of a person are in other buckets
        linked = histories.where(~is_in_bucket).join(people, "user_id", "left_semi")
        histories = histories.where(is_in_bucket).unionByName(linked)
    if persons is None:
        return merge_person_histories(histories, people, history_limits(settings))
    ids = find_ids_of_people(persons, people)
    merged = merge_person_histories(
        histories.join(ids, "user_id", "left_semi"),
        people.join(ids, "user_id", "left_semi"),
        history_limits(settings),
    )
    # A shared device is among the ids of each of its people, and brings histories of the others.
    return merged.join(persons, "user_id", "left_semi")


def read_person_users(
    store: Store, version: int | None = None, persons: DataFrame | None = None
) -> DataFrame:
    """Read `users` with the person in place of the id in user_id.

    The facts of a person are the latest ones of all its ids. An id that belongs to people in
    intervals of time alone, such as a device that they share, keeps its facts. Users who are not in
    the column user_id of `persons` may be left out.
    """
    users = store.read(USERS, version)
    if not store.exists(PEOPLE):
        return users
    people = store.read(PEOPLE).where("from_ts IS NULL AND until_ts IS NULL")
    if persons is not None:
        users = users.join(find_ids_of_people(persons, people), "user_id", "left_semi")
    named = users.join(people.select("user_id", "person_id"), "user_id", "left")
    merged = F.aggregate(F.collect_list("declared"), facts_or_empty(), merge_facts)
    by_person = named.groupBy(F.coalesce("person_id", "user_id").alias("user_id")).agg(
        merged.alias("declared"), F.min("first_seen_ts").alias("first_seen_ts")
    )
    columns = user_columns(F.col("declared"), F.col("first_seen_ts"))
    return by_person.select("user_id", *[c.alias(n) for n, c in columns.items()])


def read_last_person_events(store: Store, settings: Settings) -> DataFrame:
    """Read the events that histories keep whole: user_id, the person, and those of PAST_EVENT.

    The histories are brought up to date before.
    """
    update_histories(store, settings)
    return unfold_events(read_person_histories(store, settings))


def find_histories_as_of(store: Store, settings: Settings, cutoffs: DataFrame) -> DataFrame:
    """Find the histories of people as of each (user_id, cutoff_ts).

    `events` is read only for people who had more events than a history keeps whole, some of them
    after the cutoff.
    """
    persons = cutoffs.select("user_id").distinct()
    found = select_histories_as_of(read_person_histories(store, settings, persons), cutoffs)
    histories = found.histories.select(*PAIR, *HISTORY_COLUMNS)
    missing = found.missing.localCheckpoint()
    if missing.isEmpty():
        return histories
    events = read_person_events(store, persons=missing.select("user_id").distinct())
    built = build_histories_as_of(events, missing, history_limits(settings))
    return histories.unionByName(built)
