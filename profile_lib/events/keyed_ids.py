"""Replace the ids of cleaned rows by keyed hashes."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.cleaning import REJECTED
from profile_lib.events.column_mapping import ID
from profile_lib.events.formats.registry import FILE, POSITION, ROW
from profile_lib.events.identity import SEPARATOR, Pseudonyms
from profile_lib.events.mapping import SourceMapping
from profile_lib.events.readers import INDEX

SOURCE_COLUMNS = ("raw_session", "raw_order", ID, ROW, INDEX)


def key_ids(cleaned: DataFrame, mapping: SourceMapping, pseudonyms: Pseudonyms) -> DataFrame:
    """Compute user_id, event_id, session_hint and order_id, each a keyed hash.

    A user is identified within the mapping's id space, all else within its source. An event is
    identified by its user and its id in the source; without an id by its row, and by its place too
    if the mapping says that equal rows are different events. A rejected row gets a `row_id` too,
    the hash of its place.
    """
    hash_id, source = pseudonyms.hash_id, F.col("source")
    place: list[Column] = [
        F.col(FILE),
        F.col(POSITION).cast("string"),
        F.coalesce(F.col(INDEX).cast("string"), F.lit("")),
    ]
    by_row: list[Column] = [F.lit("row"), F.col(ROW), place[2]]
    if mapping.rows_are_distinct:
        by_row += [F.col(FILE), place[1]]
    by_id: list[Column] = [F.lit("id"), F.col(ID), place[2]]
    user = F.coalesce("raw_id", F.lit(""))
    event_key = F.when(F.col(ID).isNull(), F.concat_ws(SEPARATOR, *by_row)).otherwise(
        F.concat_ws(SEPARATOR, *by_id)
    )
    keyed = pseudonyms.join_key(cleaned).withColumns(
        {
            "user_id": hash_id(F.lit("user"), F.lit(mapping.user_space), F.col("raw_id")),
            "event_id": hash_id(F.lit("event"), source, user, event_key),
            "session_hint": hash_id(F.lit("session"), source, F.col("raw_session")),
            "order_id": hash_id(F.lit("order"), source, F.col("raw_order")),
            "row_id": F.when(
                F.col("status") == REJECTED,
                hash_id(F.lit("row"), source, F.concat_ws(SEPARATOR, *place)),
            ),
        }
    )
    return pseudonyms.drop_key(keyed).drop(*SOURCE_COLUMNS)
