"""Find all ids of a person."""

from pyspark.sql import DataFrame

from profile_lib.delta.store import Store
from profile_lib.people.membership import find_ids_of_people, find_people_of_ids
from profile_lib.tables import PEOPLE


def find_linked_ids(store: Store, ids: DataFrame) -> DataFrame:
    """Return the column `user_id` of `ids` and of all other ids of the same people.

    An id that several people share belongs to none of them.
    """
    people = store.read_or_empty(PEOPLE).where("from_ts IS NULL AND until_ts IS NULL")
    return find_ids_of_people(find_people_of_ids(ids, people), people)
