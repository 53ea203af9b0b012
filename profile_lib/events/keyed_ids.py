"""Replace the ids of cleaned rows by keyed hashes."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.cleaning import REJECTED
from profile_lib.events.column_mapping import ID
from profile_lib.events.formats.registry import FILE, POSITION, ROW
from profile_lib.events.identity import SEPARATOR, Pseudonyms
from profile_lib.events.mapping import SourceMapping
from profile_lib.events.readers import INDEX
from profile_lib.tables.people import ANONYMOUS, CARRIERS, DEVICE, USER

# Kind of a person's id → its column in cleaned rows; the first that a row has is its user.
RAW_PERSON_IDS = {USER: "raw_id", DEVICE: "raw_device", ANONYMOUS: "raw_anonymous"}
SOURCE_COLUMNS = ("raw_session", "raw_order", ID, ROW, INDEX)


def key_ids(cleaned: DataFrame, mapping: SourceMapping, pseudonyms: Pseudonyms) -> DataFrame:
    """Replace the ids of people, events, sessions and orders by keyed hashes.

    The ids of people are identified within the mapping's id space, by their kind, all else within
    its source. `user_id` is the login's, else device_id, else anonymous_id; if the mapping has one
    of these, `raw_id` becomes the id that was hashed, `id_space` names its space, and the raw ids
    of devices and browsers stay, for the suppress list. An event is identified by its user and its
    id in the source; without an id by its row, and by its place too if the mapping says that equal
    rows are different events. A rejected row gets a `row_id` too, the hash of its place.
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
    person_ids = _key_person_ids(mapping, pseudonyms)
    user = F.col("raw_id")
    if mapping.has_carriers:  # ids of different kinds may be equal
        carriers = (F.concat(F.lit(n + SEPARATOR), RAW_PERSON_IDS[n]) for n in CARRIERS)
        user = F.coalesce(user, *carriers)
    user = F.coalesce(user, F.lit(""))
    event_key = F.when(F.col(ID).isNull(), F.concat_ws(SEPARATOR, *by_row)).otherwise(
        F.concat_ws(SEPARATOR, *by_id)
    )
    keyed = pseudonyms.join_key(cleaned).withColumns(
        {
            **person_ids,
            "event_id": hash_id(F.lit("event"), source, user, event_key),
            "session_hint": hash_id(F.lit("session"), source, F.col("raw_session")),
            "order_id": hash_id(F.lit("order"), source, F.col("raw_order")),
            "row_id": F.when(
                F.col("status") == REJECTED,
                hash_id(F.lit("row"), source, F.concat_ws(SEPARATOR, *place)),
            ),
        }
    )
    if mapping.has_carriers:
        keyed = keyed.withColumn("raw_id", F.coalesce(*RAW_PERSON_IDS.values()))
    else:
        keyed = keyed.drop(*(RAW_PERSON_IDS[kind] for kind in CARRIERS))
    return pseudonyms.drop_key(keyed).drop(*SOURCE_COLUMNS)


def _key_person_ids(mapping: SourceMapping, pseudonyms: Pseudonyms) -> dict[str, Column]:
    """Return the columns that say whose event a cleaned row is."""
    if not mapping.has_carriers:
        none = F.lit(None).cast("string")
        user = hash_person_id(pseudonyms, mapping, USER, F.col("raw_id"))
        return {"user_id": user, **dict.fromkeys(CARRIERS.values(), none)}
    hashed, space = {}, F.lit(None).cast("string")
    for kind, raw in RAW_PERSON_IDS.items():
        hashed[kind] = hash_person_id(pseudonyms, mapping, kind, F.col(raw))
        space = F.coalesce(
            space, F.when(F.col(raw).isNotNull(), id_space(mapping.user_space, kind))
        )
    return {
        "user_id": F.coalesce(*hashed.values()),
        **{column: hashed[kind] for kind, column in CARRIERS.items()},
        "id_space": space,
    }


def hash_person_id(
    pseudonyms: Pseudonyms, mapping: SourceMapping, kind: str, raw_id: Column
) -> Column:
    """Return the keyed hash of a login, device or anonymous id."""
    return pseudonyms.hash_id(F.lit(kind), F.lit(mapping.user_space), raw_id)


def parse_id_space(space: Column) -> tuple[Column, Column]:
    """Return the kind and the space of logins from which `id_space` made a space.

    >>> frame = spark.createDataFrame([("shop",), ("shop:device",)], "space string")
    >>> [tuple(row) for row in frame.select(*parse_id_space(F.col("space"))).collect()]
    [('user', 'shop'), ('device', 'shop')]
    """
    kind, user_space = F.lit(USER), space
    for carrier in CARRIERS:
        is_carrier = F.endswith(space, F.lit(f":{carrier}"))
        kind = F.when(is_carrier, carrier).otherwise(kind)
        user_space = F.regexp_replace(user_space, f":{carrier}$", "")
    return kind, user_space


def id_space(user_space: str, kind: str) -> str:
    """Return the name of the space of ids of a kind.

    `user_space` is that of logins.
    """
    return user_space if kind == USER else f"{user_space}:{kind}"
