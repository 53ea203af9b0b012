"""Compute which ids are one person, when, and since when that was known."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import complete_groups
from profile_lib.arrays.types import Longs
from profile_lib.people.components import find_components
from profile_lib.people.evidence import (
    PeopleLimits,
    both_ways,
    find_hubs,
    select_live_links,
    without_hubs,
)
from profile_lib.people.graph import (
    ALWAYS,
    NEVER,
    LinkArrays,
    find_groups,
    find_known_times,
    to_link_arrays,
)
from profile_lib.people.owners import Owners, find_owners
from profile_lib.people.shared_time import Runs, divide_shared_time
from profile_lib.spark.frames import union_all
from profile_lib.tables import PEOPLE

MAX_LINKS_PER_TASK = 200_000  # with more, components are found first, and tasks share them
MIN_ROWS = 50_000  # links of several people that are computed together
MICROS = 1_000_000
TIMES = ("first", "last", "known")
LEFT_OUT = "left_out"  # column with the rule by which an id is linked to nobody; null: a person's
KIOSK, TOO_MANY_IDS = "kiosk", "too_many_ids"
COMPUTED = (
    "user_id string, interval long, from_us long, until_us long, person_id string, "
    f"known_us long, {LEFT_OUT} string"
)


def resolve_people(
    links: DataFrame, limits: PeopleLimits, max_links_per_task: int = MAX_LINKS_PER_TASK
) -> DataFrame:
    """Return the rows of `people` of all ids in rows of `identity_links`, and LEFT_OUT.

    An id that a limit leaves out has a row of its own, with the rule. The result is a function of
    the set of links alone. The source's own links, and equal values of logins, make groups of ids.
    A device or anonymous id outside of a group with a login belongs to the group whose logins were
    seen with it; with several, each login has the time around its own events. One that was never
    seen with a login takes the person of the ids that it was seen with, if they have the same one.
    A person has the id of the login whose first link was known first.
    """
    live = select_live_links(links, limits)
    ends = both_ways(live).distinct()
    hubs = find_hubs(ends, limits.max_users_per_device).localCheckpoint()
    live = without_hubs(live, hubs).localCheckpoint()
    key, n_tasks = F.lit(0).cast("long"), 1
    if (n_links := live.count()) > max_links_per_task:
        edges = live.select(F.col("user_id").alias("a"), F.col("other_id").alias("b"))
        parts = find_components(edges).withColumnRenamed("id", "user_id")
        live, key = live.join(parts, "user_id"), F.xxhash64("component")
        n_tasks = 1 + n_links // max_links_per_task
    names = ("user_id", "user_kind", "other_id", "other_kind", "kind")
    times = [F.unix_micros(f"{name}_ts").alias(f"{name}_us") for name in TIMES]
    rows = live.select(key.alias("key"), *names, *times)
    rows = rows.repartition(n_tasks, "key").sortWithinPartitions("key")
    people = rows.mapInArrow(partial(_resolve_batches, limits=limits), COMPUTED)
    own = (F.col("id").alias("user_id"), F.col("id").alias("person_id"))
    kiosks = hubs.select(*own, F.lit(0).alias("interval"), F.lit(0).alias("known_us"))
    people = union_all([people, kiosks.withColumn(LEFT_OUT, F.lit(KIOSK))])
    stamps = {f"{name}_ts": F.timestamp_micros(f"{name}_us") for name in ("from", "until", "known")}
    return people.withColumns(stamps).select(*PEOPLE.column_names(), LEFT_OUT)


def _resolve_batches(
    batches: Iterable[pa.RecordBatch], limits: PeopleLimits
) -> Iterator[pa.RecordBatch]:
    for batch in complete_groups(batches, "key", MIN_ROWS):
        yield from resolve_links(batch, limits).to_batches()


def resolve_links(batch: pa.RecordBatch, limits: PeopleLimits) -> pa.Table:
    """Return the people of live links; all links of a component are in the batch.

    Columns of times end in `_us` and hold microseconds since 1970.
    """
    links = to_link_arrays(batch)
    group, is_left_out = find_groups(links, limits.max_ids)
    owners = find_owners(links, group)
    persons = _find_persons(links, group)
    known = _find_known_times(links, group, owners, persons)
    person = persons[owners.owner]
    id, surplus = _select_fixed(links, group, owners, person, known, limits.max_ids)
    left_out = np.union1d(surplus, np.flatnonzero(is_left_out & (person == np.arange(len(person)))))
    runs = _find_runs(links, owners, persons, known)
    runs, start, until = divide_shared_time(runs, limits.shared_window_seconds * MICROS)
    parts = [
        _to_table(links, id, person[id], known[id]),
        _to_table(links, left_out, left_out, np.zeros_like(left_out), rule=TOO_MANY_IDS),
        _to_table(links, runs.id, runs.person, runs.known, start, until),
    ]
    return pa.concat_tables(parts).combine_chunks()


def _to_table(
    links: LinkArrays,
    id: Longs,
    person: Longs,
    known: Longs,
    start: Longs | None = None,
    until: Longs | None = None,
    rule: str | None = None,
) -> pa.Table:
    """Return rows of COMPUTED; without `start` and `until` they hold for all time."""
    times = [
        pa.nulls(len(id), pa.int64()) if values is None else pa.array(values, pa.int64())
        for values in (start, until)
    ]
    values = {
        "user_id": pa.array(links.ids[id], pa.string()),
        "interval": pa.array(np.zeros_like(id) if start is None else start, pa.int64()),
        "from_us": times[0],
        "until_us": times[1],
        "person_id": pa.array(links.ids[person], pa.string()),
        "known_us": pa.array(known, pa.int64()),
        LEFT_OUT: pa.array([rule] * len(id), pa.string()),
    }
    return pa.table(values)


def _find_persons(links: LinkArrays, group: Longs) -> Longs:
    """Return the id after which the group of each id is named.

    It is the login whose first link was known first, else the first of the other ids.
    """
    ids = np.concatenate([links.a, links.b])
    known, first = (np.tile(times, 2) for times in (links.known, links.first))
    order = np.lexsort((first, known, ids))
    start = np.unique(ids[order], return_index=True)[1]
    id_known, id_first = known[order][start], first[order][start]
    kind = links.is_carrier + 2 * links.is_value
    order = np.lexsort((id_first, id_known, kind, group))
    names, start = np.unique(group[order], return_index=True)
    persons = np.empty_like(group)
    persons[names] = order[start]
    return persons[group]


def _find_known_times(links: LinkArrays, group: Longs, owners: Owners, persons: Longs) -> Longs:
    """Return the time from which each id was known to be of its person.

    The links within groups with a login come first: a device that two logins of a person shared
    does not show that they are one person.
    """
    known = np.full(len(group), NEVER)
    known[persons] = ALWAYS
    is_inside = links.is_firm & (group[links.a] == group[links.b])
    firm = np.flatnonzero(is_inside)
    first = find_known_times(known, links.a[firm], links.b[firm], links.known[firm])
    contacts = owners.contacts.select(~owners.is_shared[owners.contacts.id])
    loose = firm[~owners.has_user[links.a[firm]]]
    number = np.concatenate([contacts.link, owners.meetings.link, loose])
    known = np.where(owners.has_user, first, NEVER)
    second = find_known_times(known, links.a[number], links.b[number], links.known[number])
    return np.where(second == NEVER, first, second)


def _select_fixed(
    links: LinkArrays, group: Longs, owners: Owners, person: Longs, known: Longs, max_ids: int
) -> tuple[Longs, Longs]:
    """Return the ids of another id's person, and those left out.

    A person has at most `max_ids` ids: those of its group, then those that were known first.
    """
    id = np.flatnonzero(~links.is_value & ~owners.is_shared)
    is_other = person[id] != id
    order = np.lexsort((id, known[id], group[id] != owners.owner[id], is_other, person[id]))
    id = id[order]
    _, start, n_ids = np.unique(person[id], return_index=True, return_counts=True)
    number = np.arange(len(id)) - np.repeat(start, n_ids)
    is_other, fits = person[id] != id, number < max_ids
    return id[fits & is_other], id[~fits & is_other]


def _find_runs(links: LinkArrays, owners: Owners, persons: Longs, known: Longs) -> Runs:
    """Return when which person was logged in on shared ids."""
    link, id, other = owners.contacts.select(owners.is_shared[owners.contacts.id])
    since = np.maximum(links.known[link], known[other])
    return Runs(id, persons[other], links.first[link], links.last[link], since)
