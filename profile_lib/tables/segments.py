"""Declare the tables of segments, clusters and audiences."""

from pyspark.sql import types as T

from profile_lib.tables.table import (
    BOOLEAN,
    DOUBLE,
    INT,
    LONG,
    RESEGMENT_INSTRUCTIONS,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

# Every user has one vote per kind. `share` is the name's share of the cluster's votes, 0 to 1, and
# `lift` is that share divided by the name's share of all votes.
TERM = T.StructType(
    [
        T.StructField("name", STRING),
        T.StructField("share", DOUBLE),
        T.StructField("lift", DOUBLE),
    ]
)
TERMS = T.ArrayType(TERM)

USER_SEGMENTS = Table(
    "user_segments",
    "Segment of each user: by recency, frequency and money, and by interests",
    key=("user_id",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("recency_days", DOUBLE, "days from the last event to as_of_ts"),
        optional("recency_score", INT, "5 for the most recent fifth of the buyers, to 1"),
        optional("frequency_score", INT, "5 for the fifth with the most orders, to 1"),
        optional("monetary_score", INT, "5 for the fifth that spent the most, to 1"),
        required(
            "rfm_segment", STRING, "name by recency and frequency; Prospects: no order yet", "fact"
        ),
        optional(
            "cluster_id", INT, "as in clusters; null without a usable interest vector", "fact"
        ),
        optional("cluster_margin", DOUBLE, "1 at the cluster's centre, 0 half-way to the next"),
        required("as_of_ts", TIMESTAMP, "only what was known before this moment counts, UTC"),
        required("model_version", STRING, "model that made the interest vectors"),
        required("clustering_version", LONG, "version in clusterings"),
    ),
)

CLUSTERS = Table(
    "clusters",
    "Users of similar interests; a cluster keeps its id between runs, and no id is used again",
    key=("cluster_id",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("cluster_id", INT, "cluster"),
        required("description", STRING, "how it differs from the other clusters, in one line"),
        required("n_users", LONG, "number of users"),
        *(
            required(kind, TERMS, f"{kind} in which it differs from the others, surest first")
            for kind in ("categories", "brands", "keywords")
        ),
        required("centroid", T.ArrayType(DOUBLE), "mean of its users' vectors of length 1"),
        required("model_version", STRING, "model that made the interest vectors"),
        optional(
            "jaccard", DOUBLE, "overlap of its users with the previous run, 0 to 1; null: new"
        ),
        required("first_version", LONG, "first clustering with this cluster"),
        required("last_version", LONG, "last clustering with this cluster"),
        required(
            "is_retired",
            BOOLEAN,
            "whether the latest run lacks it; the other columns stay as they were",
        ),
    ),
)

CLUSTERINGS = Table(
    "clusterings",
    "Runs of clustering, with how separate and how stable their clusters are",
    key=("version",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("version", LONG, "number of the run, from 1"),
        required("input_fingerprint", STRING, "hash of the profiles' version and the settings"),
        required("as_of_ts", TIMESTAMP, "only what was known before this moment counts, UTC"),
        required("model_version", STRING, "model that made the interest vectors"),
        required("n_clusters", INT, "number of clusters"),
        required("n_users", LONG, "number of users in a cluster"),
        required("n_users_without_vector", LONG, "number of users without a usable vector"),
        required("silhouette", DOUBLE, "mean silhouette over a sample, -1 to 1"),
        required(
            "seed_adjusted_rand", DOUBLE, "adjusted Rand index against another seed, on the sample"
        ),
        optional(
            "previous_adjusted_rand",
            DOUBLE,
            "adjusted Rand index against the previous run, over the users of both",
        ),
        optional("previous_mean_jaccard", DOUBLE, "mean jaccard over the previous run's clusters"),
        optional(
            "share_users_unchanged",
            DOUBLE,
            "share of the users of both runs that stayed in their cluster, 0 to 1",
        ),
    ),
)

AUDIENCES = Table(
    "audiences",
    "Members of each audience: by a rule, or most similar to a list of users",
    key=("audience", "user_id"),
    partition_by=("audience",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("audience", STRING, "name in the settings", "fact"),
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("rule", STRING, "rule that selects the members"),
        optional(
            "score", DOUBLE, "similarity to the list's users, 0 to 1; null for a rule", "fact"
        ),
        required("added_ts", TIMESTAMP, "as_of_ts of the run that added the user, UTC"),
    ),
)
