"""Profiles and their clusters in; what tells each cluster from the others out."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

TERM_KINDS = ("categories", "brands", "keywords")
NO_DISTINCTIVE_TERMS = "like all the others"
UNKNOWN_INTERESTS = "not known yet"  # stands among the categories for users who have none
MIN_LIFT = 1 + 1e-9  # a lift that is more than what is left of rounding


def find_distinctive_terms(
    profiles: DataFrame, clusters: DataFrame, *, prior_users: float, n_terms: int
) -> DataFrame:
    """(cluster, kind, terms): of each of TERM_KINDS up to `n_terms` (name, share, lift), surest first.

    A user has one vote a kind, parted among the names by their weight, or for none. `share` is a
    name's share of the cluster's votes, `lift` that by its share of all; to both counts of the
    cluster `prior_users` who vote like all are added, so that few users prove little. What lifts is
    ordered by the z-score of its log-odds against the other clusters (Monroe, Colaresi & Quinn
    2008): a rare name may be there by chance. `clusters`: user_id, cluster.
    """
    votes = F.concat(*[_votes(kind) for kind in TERM_KINDS])
    joined = profiles.join(clusters.select("user_id", "cluster"), "user_id")
    each = joined.select("cluster", F.inline(votes))
    counted = each.groupBy("cluster", "kind", "name").agg(F.sum("vote").alias("y"))
    in_all = counted.withColumns(
        {
            "n": F.sum("y").over(Window.partitionBy("cluster", "kind")),
            "y_all": F.sum("y").over(Window.partitionBy("kind", "name")),
            "n_all": F.sum("y").over(Window.partitionBy("kind")),
        }
    )
    prior = F.lit(prior_users) * F.col("y_all") / F.col("n_all")
    y, n = F.col("y") + prior, F.col("n") + prior_users
    y_others, n_others = F.expr("y_all - y") + prior, F.expr("n_all - n") + prior_users
    log_odds = F.ln(F.try_divide(y, n - y)) - F.ln(F.try_divide(y_others, n_others - y_others))
    measured = in_all.withColumns(
        {
            "share": y / n,
            "lift": y / n / (F.col("y_all") / F.col("n_all")),
            "z": log_odds / F.sqrt(1 / y + 1 / y_others),
        }
    )
    surest = Window.partitionBy("cluster", "kind").orderBy(F.col("z").desc_nulls_last(), "name")
    best = (
        measured.where((F.col("lift") > MIN_LIFT) & F.col("name").isNotNull())
        .withColumn("place", F.row_number().over(surest))
        .where(F.col("place") <= n_terms)
    )
    placed = F.array_sort(F.collect_list(F.struct("place", "name", "share", "lift")))
    told = F.transform(placed, lambda term: term.dropFields("place"))
    return best.groupBy("cluster", "kind").agg(told.alias("terms"))


def _votes(kind: str) -> Column:
    def vote(name: Column, vote: Column) -> Column:
        return F.struct(F.lit(kind).alias("kind"), name.alias("name"), vote.alias("vote"))

    weights = F.aggregate(kind, F.lit(0.0), lambda total, term: total + term["weight"])
    for_none = F.lit(UNKNOWN_INTERESTS if kind == "categories" else None).cast("string")
    parted = F.transform(kind, lambda x: vote(x["name"], F.try_divide(x["weight"], weights)))
    return F.when(F.size(kind) > 0, parted).otherwise(F.array(vote(for_none, F.lit(1.0))))


def describe_cluster(terms: Mapping[str, Sequence[Row]]) -> str:
    """A line of the terms of each of TERM_KINDS that a cluster has any of.

    >>> describe_cluster({"categories": [Row(name="pets")], "keywords": [Row(name="bed")]})
    'pets; likes bed'
    """
    names = {kind: ", ".join(term["name"] for term in terms.get(kind, ())) for kind in TERM_KINDS}
    keywords = names["keywords"] and f"likes {names['keywords']}"
    return (
        "; ".join(filter(None, [names["categories"], names["brands"], keywords]))
        or NO_DISTINCTIVE_TERMS
    )
