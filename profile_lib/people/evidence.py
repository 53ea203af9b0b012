"""Select the links that hold, and the ids that are shared by too many people."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.tables.people import ANONYMOUS, CARRIERS, DEVICE, LOGIN, SOURCE, USER, VALUE

KIND_ORDER = {USER: 0, DEVICE: 1, ANONYMOUS: 1, VALUE: 2}


class PeopleLimits(NamedTuple):
    """Rules by which links become people."""

    max_ids: int  # highest number of ids of a person
    max_users_per_device: int  # a device with more logins, or a value of more ids, links nobody
    shared_window_seconds: int  # time around a login in which a shared device is that person's
    rules: tuple[tuple[str, str], ...]  # name and kind of each rule whose links count


def is_carrier(kind: str) -> Column:
    """Return whether a column of kinds names one that a login explains."""
    return F.col(kind).isin(*CARRIERS)


def select_live_links(links: DataFrame, limits: PeopleLimits) -> DataFrame:
    """Return the rows of `identity_links` whose evidence counts.

    Evidence counts if it is later than the last time that the pair was undone. The links of a rule
    count if the limits name the rule, and have the kind that these give it.
    """
    kind = F.when(F.col("kind").isin(LOGIN, SOURCE), F.col("kind"))
    for name, kind_of_rule in limits.rules:
        kind = kind.when(F.col("source") == name, F.lit(kind_of_rule))
    links = links.withColumn("kind", kind).where("kind IS NOT NULL")
    low, high = F.least("user_id", "other_id"), F.greatest("user_id", "other_id")
    undone = F.max("undone_ts").over(Window.partitionBy(low, high))
    holds = F.col("last_ts") > F.coalesce("pair_undone_ts", F.lit("0001-01-01").cast("timestamp"))
    different = F.col("user_id") != F.col("other_id")
    return links.withColumn("pair_undone_ts", undone).where(holds & different)


def both_ways(links: DataFrame, *more: str) -> DataFrame:
    """Return each link twice, as seen from either end: id, id_kind, other, other_kind."""
    names = (("user_id", "user_kind"), ("other_id", "other_kind"))
    sides = [
        F.struct(
            F.col(a).alias("id"), F.col(ak).alias("id_kind"),
            F.col(b).alias("other"), F.col(bk).alias("end_kind"),
        )
        for (a, ak), (b, bk) in (names, names[::-1])
    ]  # fmt: skip
    exploded = links.select(F.explode(F.array(*sides)).alias("side"), *more)
    return exploded.select(
        "side.id", "side.id_kind", "side.other", F.col("side.end_kind").alias("other_kind"), *more
    )


def find_hubs(ends: DataFrame, max_users: int) -> DataFrame:
    """Return the ids that link too many: id.

    `ends` is the result of `both_ways` of live links. A device or anonymous id counts its logins, a
    value all its ids. A login is never one.
    """
    counts = F.col("id_kind") == VALUE
    counts |= is_carrier("id_kind") & (F.col("other_kind") == USER)
    n_others = ends.where(counts).groupBy("id").agg(F.count_distinct("other").alias("n"))
    return n_others.where(F.col("n") > max_users).select("id")


def without_hubs(links: DataFrame, hubs: DataFrame) -> DataFrame:
    """Return the links between ids that are no hubs."""
    for name in ("user_id", "other_id"):
        links = links.join(hubs.select(F.col("id").alias(name)), name, "left_anti")
    return links
