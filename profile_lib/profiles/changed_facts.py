"""Find the users whose declared facts changed."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.profiles.build import USER_FACTS


def find_users_of_changed_facts(changes: DataFrame) -> DataFrame:
    """Find the users whose facts differ between rows of the change feed of `users`.

    A source that declares the same facts again changes only their times, which no profile shows.
    Users who were added or removed are returned too. Returns (user_id).
    """
    values = [F.array_sort(F.map_entries(c)) if c == "attributes" else F.col(c) for c in USER_FACTS]
    is_update = F.col("_change_type").startswith("update")
    return (
        changes.groupBy("user_id")
        .agg(
            F.count_distinct(F.to_json(F.struct(*values))).alias("n_states"),
            F.bool_and(is_update).alias("is_update"),
        )
        .where("n_states > 1 OR NOT is_update")
        .select("user_id")
    )
