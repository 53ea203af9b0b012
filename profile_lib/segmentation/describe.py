"""Describe each cluster by the interests that distinguish it from the others."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

TERM_KINDS = ("categories", "brands", "keywords")
NO_DISTINCTIVE_TERMS = "like all the others"
UNKNOWN_INTERESTS = "not known yet"  # stands for the category of users without categories
MIN_LIFT = 1 + 1e-9  # a lift of 1 with a rounding error does not count


def find_distinctive_terms(
    profiles: DataFrame, clusters: DataFrame, *, prior_users: float, n_terms: int
) -> DataFrame:
    """Find up to `n_terms` distinctive terms per `cluster` and `kind`.

    `clusters` has the columns user_id and cluster. Each user has one vote per kind, divided among
    the names in the profile by their weights. `share` is a name's share of the cluster's votes, and
    `lift` is that share divided by the name's share of all votes. The votes of the cluster include
    `prior_users` imaginary users who vote as all users do, so that a few users do not make a term
    distinctive. Terms with a lift above 1 are sorted by the z-score of their log-odds compared with
    the other clusters (Monroe, Colaresi & Quinn 2008), because a rare name may have a high lift by
    chance. Returns cluster, kind and terms, an array of structs (name, share, lift).
    """
    measured = _measure_terms(_count_votes(profiles, clusters), prior_users)
    surest = Window.partitionBy("cluster", "kind").orderBy(F.col("z").desc_nulls_last(), "name")
    best = (
        measured.where((F.col("lift") > MIN_LIFT) & F.col("name").isNotNull())
        .withColumn("rank", F.row_number().over(surest))
        .where(F.col("rank") <= n_terms)
    )
    ranked = F.array_sort(F.collect_list(F.struct("rank", "name", "share", "lift")))
    terms = F.transform(ranked, lambda term: term.dropFields("rank"))
    return best.groupBy("cluster", "kind").agg(terms.alias("terms"))


def _count_votes(profiles: DataFrame, clusters: DataFrame) -> DataFrame:
    """Count the votes per cluster, kind and name (`y`), and per cluster and kind (`n`).

    The letters are those of Monroe et al.; `y_all` and `n_all` count over all clusters.
    """
    votes = F.concat(*[_votes(kind) for kind in TERM_KINDS])
    joined = profiles.join(clusters.select("user_id", "cluster"), "user_id")
    each = joined.select("cluster", F.inline(votes))
    counted = each.groupBy("cluster", "kind", "name").agg(F.sum("vote").alias("y"))
    return counted.withColumns(
        {
            "n": F.sum("y").over(Window.partitionBy("cluster", "kind")),
            "y_all": F.sum("y").over(Window.partitionBy("kind", "name")),
            "n_all": F.sum("y").over(Window.partitionBy("kind")),
        }
    )


def _measure_terms(counted: DataFrame, prior_users: float) -> DataFrame:
    """Add `share`, `lift` and `z`, the z-score of the log-odds, to each term."""
    prior = F.lit(prior_users) * F.col("y_all") / F.col("n_all")
    y, n = F.col("y") + prior, F.col("n") + prior_users
    y_others, n_others = F.expr("y_all - y") + prior, F.expr("n_all - n") + prior_users
    log_odds = F.ln(F.try_divide(y, n - y)) - F.ln(F.try_divide(y_others, n_others - y_others))
    return counted.withColumns(
        {
            "share": y / n,
            "lift": y / n / (F.col("y_all") / F.col("n_all")),
            "z": log_odds / F.sqrt(1 / y + 1 / y_others),
        }
    )


def _votes(kind: str) -> Column:
    """Return a user's votes of one kind as an array of structs (kind, name, vote)."""

    def vote(name: Column, share: Column) -> Column:
        return F.struct(F.lit(kind).alias("kind"), name.alias("name"), share.alias("vote"))

    total_weight = F.aggregate(kind, F.lit(0.0), lambda total, term: total + term["weight"])
    no_name = F.lit(UNKNOWN_INTERESTS if kind == "categories" else None).cast("string")
    divided = F.transform(kind, lambda x: vote(x["name"], F.try_divide(x["weight"], total_weight)))
    return F.when(F.size(kind) > 0, divided).otherwise(F.array(vote(no_name, F.lit(1.0))))


def describe_cluster(terms: Mapping[str, Sequence[Row]]) -> str:
    """Describe a cluster in one line by its terms of each kind.

    >>> describe_cluster({"categories": [Row(name="pets")], "keywords": [Row(name="bed")]})
    'pets; likes bed'
    """
    names = {kind: ", ".join(term["name"] for term in terms.get(kind, ())) for kind in TERM_KINDS}
    keywords = names["keywords"] and f"likes {names['keywords']}"
    return (
        "; ".join(filter(None, [names["categories"], names["brands"], keywords]))
        or NO_DISTINCTIVE_TERMS
    )
