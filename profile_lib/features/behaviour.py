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

from profile_lib.arrays.groups import complete_groups
from profile_lib.features.context_aggregates import aggregate_contexts
from profile_lib.features.event_aggregates import aggregate_events
from profile_lib.features.event_log import build_event_log
from profile_lib.features.event_projection import project_events
from profile_lib.features.interests import rank_interests
from profile_lib.features.item_aggregates import aggregate_items, find_interacted_items
from profile_lib.features.recent_events import select_recent_events
from profile_lib.spark.workers import freeze_loaded_modules
from profile_lib.tables import BEHAVIOUR

BATCH_ROWS = (
    2**15
)  # computed at once: enough for array operations to pay, few enough for any worker
MICROSECOND = timedelta(microseconds=1)


def build_behaviour(
    events_as_of: DataFrame,
    items: DataFrame,
    *,
    gap: timedelta,
    half_life: timedelta,
    weights: Mapping[str, float],
    max_interests: int,
    max_recent: int,
) -> DataFrame:
    """The table `behaviour` of what `join_events_as_of` found, one row a (user_id, cutoff_ts).

    Interests halve every `half_life` and are as of the last event; `weights` says what one event
    of a kind counts for them. A row is a function of what was known at its pair and of the items
    alone, to the bit, however rows are parted into batches and partitions.
    """

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        freeze_loaded_modules()
        for rows in complete_groups(batches, "pair_key", BATCH_ROWS):
            yield compute_behaviour(rows, gap, half_life, weights, max_interests, max_recent)

    together = (
        project_events(events_as_of, items).repartition("pair_key").sortWithinPartitions("pair_key")
    )
    return together.mapInArrow(compute, BEHAVIOUR.schema)


def compute_behaviour(
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
    log = build_event_log(rows, gap // MICROSECOND)
    interacted_items = find_interacted_items(log)
    return _conformed(
        {
            **log.key_columns(),
            **aggregate_events(log),
            **aggregate_items(interacted_items),
            **rank_interests(interacted_items, weights, half_life // MICROSECOND, max_interests),
            **aggregate_contexts(log),
            "recent": select_recent_events(log, max_recent),
        }
    )


def _conformed(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """The columns in the order and the types that the table declares."""
    schema = to_arrow_schema(BEHAVIOUR.schema)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
