"""Find the ids whose person may change with some links."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.people.evidence import PeopleLimits, both_ways, find_hubs, select_live_links
from profile_lib.spark.frames import union_all


def find_touched_ids(
    links: DataFrame, old_links: DataFrame, changed: DataFrame, limits: PeopleLimits
) -> DataFrame:
    """Return the ids that links lead to from the ends of changed links: id.

    `changed` has the column id, and `old_links` holds the links before the change. The search does
    not go on from an id that links too many people, and did so before: nothing depends on it. So a
    kiosk does not make everybody's person change.
    """
    frontier = changed.distinct().localCheckpoint()
    reached, is_first = frontier, True
    while not frontier.isEmpty():
        ends = _live_ends(links, frontier, limits)
        hubs = find_hubs(ends, limits.max_users_per_device).localCheckpoint()
        if is_first and not hubs.isEmpty():
            old_ends = _live_ends(old_links, hubs, limits)
            hubs = hubs.join(find_hubs(old_ends, limits.max_users_per_device), "id", "left_semi")
        is_first = False
        onward = ends.join(hubs, "id", "left_anti").select(F.col("other").alias("id")).distinct()
        frontier = onward.join(reached, "id", "left_anti").localCheckpoint()
        reached = union_all([reached, frontier]).localCheckpoint()
    return reached


def select_links_of(links: DataFrame, ids: DataFrame) -> DataFrame:
    """Return the links that have one of the ids as an end."""
    of_user = links.join(ids.withColumnRenamed("id", "user_id"), "user_id", "left_semi")
    rest = links.join(ids.withColumnRenamed("id", "user_id"), "user_id", "left_anti")
    of_other = rest.join(ids.withColumnRenamed("id", "other_id"), "other_id", "left_semi")
    return of_user.unionByName(of_other)


def _live_ends(links: DataFrame, ids: DataFrame, limits: PeopleLimits) -> DataFrame:
    """Return the live links of ids as seen from them."""
    live = select_live_links(select_links_of(links, ids), limits)
    return both_ways(live).distinct().join(ids, "id", "left_semi").localCheckpoint()
