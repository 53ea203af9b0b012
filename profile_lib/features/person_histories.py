"""Merge the histories of the ids of one person.

Histories are kept per id under which events were seen. A link between ids therefore changes no
stored history: the history of a person is merged from those of the ids whenever it is read.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.histories import HISTORY_COLUMNS, HistoryLimits, build_histories
from profile_lib.spark.timestamps import is_in_interval
from profile_lib.tables.histories import PAST_EVENT


def merge_person_histories(
    histories: DataFrame, people: DataFrame, limits: HistoryLimits
) -> DataFrame:
    """Return the history of each person whose ids have histories: user_id and HISTORY_COLUMNS.

    `people` has the columns of that table, and `user_id` of the result is its person_id. An id
    without a row is a person of its own. If an id belongs to people in intervals of time only, each
    gets the last events in them, and the id keeps its other events and the counts of older ones. An
    event of another id is known to a person only from the moment at which the link was known.
    """
    owner = F.struct("from_ts", "until_ts", "person_id", "known_ts", F.lit(False).alias("is_rest"))
    owners = _add_missing_rows(people).groupBy("user_id").agg(F.collect_list(owner).alias("owners"))
    joined = histories.select("user_id", *HISTORY_COLUMNS).join(owners, "user_id", "left")
    alone = joined.where("owners IS NULL").drop("owners")
    # A checkpoint, because the plan of the pieces is large and is part of each later query.
    pieces = _cut_pieces(joined.where("owners IS NOT NULL")).localCheckpoint()
    return alone.unionByName(build_histories(None, limits, pieces))


def _add_missing_rows(people: DataFrame) -> DataFrame:
    """Add a row for each person whose own id has none."""
    persons = people.select(F.col("person_id").alias("user_id")).distinct()
    missing = persons.join(people, "user_id", "left_anti")
    null = F.lit(None).cast("timestamp")
    names = ("from_ts", "until_ts", "known_ts")
    rows = missing.select(
        "user_id", F.col("user_id").alias("person_id"), *[null.alias(name) for name in names]
    )
    return people.select(*rows.columns).unionByName(rows)


def _cut_pieces(linked: DataFrame) -> DataFrame:
    """Return the part of each id's history that belongs to each of its people."""
    null = F.lit(None).cast("timestamp")
    rest = F.struct(
        null.alias("from_ts"),
        null.alias("until_ts"),
        F.col("user_id").alias("person_id"),
        null.alias("known_ts"),
        F.lit(True).alias("is_rest"),
    )
    is_whole = F.exists("owners", lambda o: o["from_ts"].isNull() & o["until_ts"].isNull())
    all_owners = F.when(is_whole, F.col("owners")).otherwise(F.concat("owners", F.array(rest)))
    cut = linked.select("*", is_whole.alias("is_whole"), F.explode(all_owners).alias("owner"))
    keeps_counts = F.col("is_whole") | F.col("owner.is_rest")
    is_own = F.col("owner.person_id") == F.col("user_id")
    known_ts = F.when(~is_own, F.col("owner.known_ts"))
    events = F.transform(F.filter("events", _belongs), lambda event: _known_from(event, known_ts))
    first_ts = F.element_at("events", 1)["event_ts"]
    return (
        cut.withColumn("events", events)
        .where(F.size("events") > 0)
        .select(
            F.col("owner.person_id").alias("user_id"),
            "events",
            F.when(keeps_counts, F.col("older")).otherwise(F.slice("older", 1, 0)).alias("older"),
            F.when(
                keeps_counts & F.col("older_known_ts").isNotNull(),
                F.greatest("older_known_ts", known_ts),
            ).alias("older_known_ts"),
            F.when(keeps_counts, F.least("first_ts", first_ts))
            .otherwise(first_ts)
            .alias("first_ts"),
        )
    )


def _belongs(event: Column) -> Column:
    """Return whether an event belongs to `owner`, a column of the frame."""
    in_interval = _is_inside(event, F.col("owner"))
    in_none = ~F.exists("owners", lambda owner: _is_inside(event, owner))
    return F.when(F.col("owner.is_rest"), in_none).otherwise(in_interval)


def _is_inside(event: Column, owner: Column) -> Column:
    return is_in_interval(event["event_ts"], owner["from_ts"], owner["until_ts"])


def _known_from(event: Column, known_ts: Column) -> Column:
    """Return an event that arrived at `known_ts`, unless it arrived later or that is null."""
    fields = {name: event[name] for name in PAST_EVENT.names}
    fields["ingest_ts"] = F.greatest(event["ingest_ts"], known_ts)
    return F.struct(*[value.alias(name) for name, value in fields.items()])
