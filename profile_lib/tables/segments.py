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
    "Where a user stands among all: by recency, frequency and money, and by interests",
    key=("user_id",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("recency_days", DOUBLE, "from the last event to as_of_ts, days"),
        optional("recency_score", INT, "5 for the latest fifth of those who ordered, to 1"),
        optional("frequency_score", INT, "5 for the fifth with most orders, to 1"),
        optional("monetary_score", INT, "5 for the fifth that spent most, to 1"),
        required("rfm_segment", STRING, "name of recency and frequency; Prospects: no order yet"),
        optional("cluster_id", INT, "as in clusters; null without a usable interest vector"),
        optional("cluster_margin", DOUBLE, "1 at the cluster's centre, 0 half-way to the next"),
        required("as_of_ts", TIMESTAMP, "up to when the profiles know"),
        required("model_version", STRING, "the model that the interest vectors are by"),
        required("clustering_version", LONG, "as in clusterings"),
    ),
)

CLUSTERS = Table(
    "clusters",
    "Users of like interests; an id lives on with its members and is never given again",
    key=("cluster_id",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("cluster_id", INT, "the cluster"),
        required("description", STRING, "what tells it from the others, in a line"),
        required("n_users", LONG, "its size"),
        *(
            required(kind, TERMS, f"{kind} that tell it from the others, the surest first")
            for kind in ("categories", "brands", "keywords")
        ),
        required("centroid", T.ArrayType(DOUBLE), "mean of its users' vectors of length 1"),
        required("model_version", STRING, "the model that these vectors are by"),
        optional("jaccard", DOUBLE, "of its users and those of the run before; null: it is new"),
        required("first_version", LONG, "the clustering in which it came up"),
        required("last_version", LONG, "the last clustering in which it was there"),
        required("is_retired", BOOLEAN, "whether it is no more; all else is as it last was"),
    ),
)

CLUSTERINGS = Table(
    "clusterings",
    "Each run that looked for clusters: how clear they are, and how stable",
    key=("version",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("version", LONG, "number of the run, from 1"),
        required("input_fingerprint", STRING, "hash of the profiles' version and the settings"),
        required("as_of_ts", TIMESTAMP, "up to when the profiles know"),
        required("model_version", STRING, "the model that the interest vectors are by"),
        required("n_clusters", INT, "how many there are"),
        required("n_users", LONG, "users in a cluster"),
        required("n_users_without_vector", LONG, "users without a usable interest vector"),
        required("silhouette", DOUBLE, "mean over a sample, -1 to 1"),
        required(
            "seed_adjusted_rand", DOUBLE, "adjusted Rand index against another seed, on the sample"
        ),
        optional(
            "previous_adjusted_rand", DOUBLE, "against the run before, over the users of both"
        ),
        optional("previous_mean_jaccard", DOUBLE, "mean over the clusters of the run before"),
        optional(
            "share_users_unchanged", DOUBLE, "of the users of both runs, in the cluster of before"
        ),
    ),
)

AUDIENCES = Table(
    "audiences",
    "Who is in an audience: by a rule, or most like a list of users",
    key=("audience", "user_id"),
    partition_by=("audience",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("audience", STRING, "its name in the settings"),
        required("user_id", STRING, "pseudonym"),
        required("rule", STRING, "whom it takes"),
        optional("score", DOUBLE, "how like the list's users, 0 to 1; null where a rule decides"),
        required("added_ts", TIMESTAMP, "as_of_ts of the run since which the user is in it"),
    ),
)
