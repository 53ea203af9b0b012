"""Collect evidence that two ids are one person."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.events.dimensions import clean_ids
from profile_lib.events.mapping import LinkColumns, Times
from profile_lib.events.values import to_time
from profile_lib.spark.timestamps import known_time
from profile_lib.tables import IDENTITY_LINKS
from profile_lib.tables.people import (
    ANONYMOUS,
    DEVICE,
    LOGIN,
    PROBABLE,
    RULE,
    RUN_MINUTES,
    SOURCE,
    USER,
    VALUE,
)

RUN_SECONDS = 60 * RUN_MINUTES
TIMES = {"first_ts": F.least, "last_ts": F.greatest, "known_ts": F.least, "undone_ts": F.greatest}
# An existing row is written only if the evidence changes it.
IS_NEW_EVIDENCE = (
    "source.first_ts < target.first_ts OR source.last_ts > target.last_ts OR "
    "source.known_ts < target.known_ts OR source.undone_ts > target.undone_ts OR "
    "(target.last_ts IS NULL AND source.last_ts IS NOT NULL) OR "
    "(target.undone_ts IS NULL AND source.undone_ts IS NOT NULL)"
)


class Rule(NamedTuple):
    """Ids with an equal value are linked."""

    name: str
    kind: str  # RULE or PROBABLE
    fact: str | None  # declared fact; None: the rule is about order_id


def merged_evidence() -> dict[str, Column]:
    """Return the columns of a stored row, merged with new evidence, in any order."""
    return {n: best(f"target.{n}", f"source.{n}") for n, best in TIMES.items()}


def link_events(events: DataFrame, source: str) -> DataFrame:
    """Return the links of the ids that events have together.

    A login is linked to the device and to the anonymous id of its event. Without a login these two
    are linked to each other.
    """
    user = F.when(_kind_of_user() == USER, F.col("user_id"))
    device, anonymous = F.col("device_id"), F.col("anonymous_id")
    pairs = F.array(
        _pair(user, USER, device, DEVICE),
        _pair(user, USER, anonymous, ANONYMOUS),
        F.when(user.isNull(), _pair(device, DEVICE, anonymous, ANONYMOUS)),
    )
    return _link_seen(events, pairs, LOGIN, source)


def link_orders(events: DataFrame, rule: Rule) -> DataFrame:
    """Return the links of ids to the orders of their events."""
    order = F.col("order_id")
    pair = _struct(F.col("user_id"), _kind_of_user(), order, F.lit(VALUE))
    return _link_seen(events, F.array(F.when(order.isNotNull(), pair)), rule.kind, rule.name)


def link_facts(
    declared: DataFrame, rule: Rule, hash_value: Callable[[Column], Column]
) -> DataFrame:
    """Return the links of logins to the values of a declared fact.

    `declared` is the result of `declared_users`: a value is known from its arrival, whenever it
    holds from. `hash_value` returns the keyed hash of a value.
    """
    fact = F.col("declared")[rule.fact]
    at, known_ts = fact["declared_ts"], F.greatest(fact["declared_ts"], "arrived_ts")
    value = fact["value"].alias("value")
    rows = declared.select("user_id", value, at.alias("at"), known_ts.alias("known_ts"))
    rows = rows.where("value IS NOT NULL").withColumn("value", hash_value(F.col("value")))
    pair = _struct(F.col("user_id"), F.lit(USER), F.col("value"), F.lit(VALUE))
    times = {"first_ts": F.col("at"), "last_ts": F.col("at"), "known_ts": F.col("known_ts")}
    return _to_links(rows.select(pair.alias("pair"), "at", "known_ts"), rule.kind, rule.name, times)


def supersede_facts(links: DataFrame) -> DataFrame:
    """Return rows that undo values of a fact which logins replaced.

    `links` holds all links of some logins to values of one fact. One stays of several values with
    the same time.
    """
    same_value = Window.partitionBy("user_id", "other_id").orderBy(F.desc("last_ts"))
    latest = links.where("last_ts IS NOT NULL").withColumn("n", F.row_number().over(same_value))
    later = Window.partitionBy("user_id").orderBy(F.desc("last_ts"), "other_id")
    latest = latest.where("n = 1").withColumns(
        {"top": F.row_number().over(later), "next_ts": F.lead("last_ts").over(later)}
    )
    best = F.max("last_ts").over(Window.partitionBy("user_id"))
    before = F.when(F.col("next_ts") < F.col("last_ts"), F.col("next_ts"))
    undone = F.when(F.col("top") == 1, before).otherwise(best)
    superseded = latest.withColumn("undone_ts", undone).where("undone_ts IS NOT NULL")
    return superseded.select(*IDENTITY_LINKS.column_names())


def withdraw_facts(links: DataFrame, declared: DataFrame, rule: Rule) -> DataFrame:
    """Return rows that undo the values of a fact which logins withdrew.

    `links` holds all links of some logins to values of the fact, and `declared` is the result of
    `declared_users`: a withdrawn fact has a time and no value.
    """
    fact = F.col("declared")[rule.fact]
    facts = declared.select(
        "user_id", fact["declared_ts"].alias("at"), fact["value"].alias("value")
    )
    withdrawn = facts.where("at IS NOT NULL AND value IS NULL")
    undone = links.drop("undone_ts").join(withdrawn.select("user_id", "at"), "user_id")
    return undone.withColumnRenamed("at", "undone_ts").select(*IDENTITY_LINKS.column_names())


def declared_links(
    rows: DataFrame,
    links: LinkColumns,
    times: Times,
    hash_id: Callable[[str, Column], Column],
    source: str,
    arrival: str,
) -> DataFrame:
    """Return the links that rows of a source declare.

    `rows` has the columns of `link_expressions`, with the ids of `clean_ids`, and `arrival`. A time
    after the arrival is the error of a clock, and the arrival counts. An `undone_ts` that is blank,
    or no time, undoes nothing. Without `linked_ts`, each delivery says what holds at its arrival. A
    row without both ids is left out. `hash_id` returns the keyed hash of an id of a kind.
    """

    def time_of(name: str) -> Column:
        if name not in rows.columns:
            return F.lit(None).cast("timestamp")
        return to_time(F.col(name), rows.schema[name].dataType, times)

    undone = time_of("undone_ts")
    if links.linked_ts is None:
        linked_ts, undone_ts = F.when(undone.isNull(), F.col(arrival)), F.col(arrival)
    else:
        linked_ts = F.when(F.col("linked_ts").isNotNull(), F.least(time_of("linked_ts"), arrival))
        undone_ts = F.least(undone, arrival)
    stamps = {"linked_ts": linked_ts, "undone_ts": F.when(undone.isNotNull(), undone_ts)}
    pair = _struct(
        hash_id(links.user_kind, F.col("user_id")), F.lit(links.user_kind),
        hash_id(links.other_kind, F.col("other_id")), F.lit(links.other_kind),
    )  # fmt: skip
    stamped = rows.where("user_id IS NOT NULL AND other_id IS NOT NULL").withColumns(stamps)
    at = F.coalesce("linked_ts", "undone_ts").alias("at")
    stamped = stamped.select(pair.alias("pair"), at, "linked_ts", "undone_ts", arrival)
    values = {
        "first_ts": F.col("linked_ts"),
        "last_ts": F.col("linked_ts"),
        "known_ts": F.when(F.col("linked_ts").isNotNull(), F.col(arrival)),
        "undone_ts": F.col("undone_ts"),
    }
    return _to_links(stamped.where("at IS NOT NULL"), SOURCE, source, values)


def link_expressions(links: LinkColumns) -> dict[str, str]:
    """Return the SQL expressions of the columns that `declared_links` reads."""
    names = ("user_id", "other_id", "linked_ts", "undone_ts")
    return {name: sql for name in names if (sql := getattr(links, name)) is not None}


def clean_link_ids(rows: DataFrame, placeholder_ids: list[str]) -> DataFrame:
    """Return the rows with ids as `events` has them; null: not valid."""
    for name in ("user_id", "other_id"):
        rows = clean_ids(rows, name, placeholder_ids)
    return rows


def _kind_of_user() -> Column:
    """Return the kind of the id in `user_id` of events."""
    is_device = F.col("user_id").eqNullSafe(F.col("device_id"))
    is_anonymous = F.col("user_id").eqNullSafe(F.col("anonymous_id"))
    return F.when(is_device, DEVICE).when(is_anonymous, ANONYMOUS).otherwise(USER)


def _struct(a: Column, a_kind: Column, b: Column, b_kind: Column) -> Column:
    names = ("user_id", "user_kind", "other_id", "other_kind")
    return F.struct(*(c.alias(n) for n, c in zip(names, (a, a_kind, b, b_kind), strict=True)))


def _pair(a: Column, a_kind: str, b: Column, b_kind: str) -> Column:
    return F.when(a.isNotNull() & b.isNotNull(), _struct(a, F.lit(a_kind), b, F.lit(b_kind)))


def _link_seen(events: DataFrame, pairs: Column, kind: str, source: str) -> DataFrame:
    """Return the links of the pairs of ids in each event."""
    known = known_time().alias("known")
    rows = events.select(F.explode(pairs).alias("pair"), F.col("event_ts").alias("at"), known)
    times = {"first_ts": F.col("at"), "last_ts": F.col("at"), "known_ts": F.col("known")}
    return _to_links(rows.where("pair IS NOT NULL"), kind, source, times)


def _to_links(rows: DataFrame, kind: str, source: str, times: Mapping[str, Column]) -> DataFrame:
    """Return rows of `identity_links`, one per pair and run, of rows with `pair` and `at`."""
    run = F.timestamp_seconds(F.floor(F.unix_seconds("at") / RUN_SECONDS) * RUN_SECONDS)
    none = F.lit(None).cast("timestamp")
    named = rows.select(
        "pair.*", F.lit(kind).alias("kind"), F.lit(source).alias("source"), run.alias("run_ts"),
        *(times.get(n, none).alias(n) for n in TIMES),
    )  # fmt: skip
    merges = (
        (F.min if best is F.least else F.max)(name).alias(name) for name, best in TIMES.items()
    )
    key = ("user_id", "user_kind", "other_id", "other_kind", "kind", "source", "run_ts")
    return named.groupBy(*key).agg(*merges).select(*IDENTITY_LINKS.column_names())


def make_rule(name: str, fact: str | None, is_probable: bool) -> Rule:
    """Return the rule of a setting."""
    return Rule(name, PROBABLE if is_probable else RULE, fact)
