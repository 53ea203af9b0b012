"""Find the people of ids, and the ids of people."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def find_people_of_ids(ids: DataFrame, people: DataFrame) -> DataFrame:
    """Return the people that ids belong to at any time, themselves included: user_id, distinct.

    `ids` has the column user_id, in which ids may repeat.
    """
    owners = people.select("user_id", "person_id").distinct()
    joined = ids.select("user_id").join(owners, "user_id", "left")
    both = F.array_distinct(F.array("user_id", F.coalesce("person_id", "user_id")))
    return joined.select(F.explode(both).alias("user_id")).distinct()


def find_ids_of_people(persons: DataFrame, people: DataFrame) -> DataFrame:
    """Return all ids that belong to people at some time, themselves included: user_id, distinct.

    `persons` has the column user_id, which holds the id of the person.
    """
    ids = people.select(F.col("person_id"), "user_id")
    named = persons.select(F.col("user_id").alias("person_id"))
    joined = ids.join(named, "person_id", "left_semi").select("user_id")
    return joined.union(persons.select("user_id")).distinct()
