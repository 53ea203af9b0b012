"""Known events and items in, behaviour at each cutoff out: training and refresh share it.

Spark tells each event what the catalogue says of it and brings each pair of user and cutoff
together (one shuffle, and one radix sort by a hash of the pair); Arrow batches then order, count
and weigh with array operations alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from profile_lib.features.counts import count_events
from profile_lib.features.habits import count_habits
from profile_lib.features.interests import rank_interests
from profile_lib.features.log import in_log
from profile_lib.features.recent import last_events
from profile_lib.features.seen import seen_items, summarise_items
from profile_lib.features.told import tell
from profile_lib.segments import whole_groups
from profile_lib.tables import BEHAVIOUR
from profile_lib.workers import settle

ROWS = 2**15  # computed at once: enough for array operations to pay, few enough for any worker
MICROSECOND = timedelta(microseconds=1)


def build_behaviour(
    known: DataFrame,
    items: DataFrame,
    *,
    gap: timedelta,
    half_life: timedelta,
    weights: Mapping[str, float],
    max_interests: int,
    max_recent: int,
) -> DataFrame:
    """The table `behaviour` of what `known_events` found, one row a (user_id, cutoff_ts).

    Interests halve every `half_life` and are as of the last event; `weights` says what one event
    of a kind counts for them. A row is a function of what was known at its pair and of the items
    alone, to the bit, however rows are parted into batches and partitions.
    """

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        settle()
        for rows in whole_groups(batches, "pair_key", ROWS):
            yield behaviour_of(rows, gap, half_life, weights, max_interests, max_recent)

    together = tell(known, items).repartition("pair_key").sortWithinPartitions("pair_key")
    return together.mapInArrow(compute, BEHAVIOUR.schema)


def behaviour_of(
    rows: pa.RecordBatch,
    gap: timedelta,
    half_life: timedelta,
    weights: Mapping[str, float],
    max_interests: int,
    max_recent: int,
) -> pa.RecordBatch:
    """The behaviour at some pairs of user and cutoff, of all their rows in any order.

    Raises ValueError where two pairs share a pair_key, which 64 bits all but rule out.
    """
    log = in_log(rows, gap // MICROSECOND)
    seen = seen_items(log)
    return _conformed(
        {
            **log.identity(),
            **count_events(log),
            **summarise_items(seen),
            **rank_interests(seen, weights, half_life // MICROSECOND, max_interests),
            **count_habits(log),
            "recent": last_events(log, max_recent),
        }
    )


def _conformed(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """The columns in the order and the types that the table declares."""
    schema = to_arrow_schema(BEHAVIOUR.schema)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
