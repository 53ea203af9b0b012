"""Build the behaviour of users as of cutoffs.

Spark joins each event with its item and brings the rows of each pair of user and cutoff together
(one shuffle, and one radix sort by a hash of the pair). Array operations on Arrow batches then
compute all columns. Training and refresh share this module.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from profile_lib.arrays.groups import complete_groups
from profile_lib.features.catalog_words import ProjectedCatalog
from profile_lib.features.context_aggregates import aggregate_contexts
from profile_lib.features.event_log import build_event_log
from profile_lib.features.event_projection import project_histories
from profile_lib.features.interests import rank_interests
from profile_lib.features.numeric.registry import compute_numeric_features, registered_features
from profile_lib.features.recent_events import select_recent_events
from profile_lib.session_rule import to_micros
from profile_lib.spark.workers import freeze_loaded_modules
from profile_lib.tables import BEHAVIOUR
from profile_lib.tables.registered_columns import ColumnFunction

BATCH_ROWS = 2**15  # enough for array operations to pay off, few enough for any worker's memory


def build_behaviour(
    histories: DataFrame,
    catalog: ProjectedCatalog,
    *,
    gap: timedelta,
    half_life: timedelta,
    weights: Mapping[str, float],
    max_interests: int,
    max_recent: int,
    time_zone: str,
) -> DataFrame:
    """Build the table `behaviour` from histories as of cutoffs: a row per (user_id, cutoff_ts).

    An event more than `gap` after the one before it starts a session. `weights` holds the weight of
    one event per kind in the interests; it halves every `half_life` before the last event.
    `max_interests` and `max_recent` limit the lengths of the lists. `time_zone` is the IANA name of
    the shop's zone, in which the hours of events without a zone are counted. A row depends only on
    the history of its pair and on the catalog: it is equal to the bit for any batches and
    partitions.
    """
    schema = BEHAVIOUR.schema
    arrow_schema, features = to_arrow_schema(schema), registered_features()

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        freeze_loaded_modules()
        for rows in complete_groups(batches, "pair_key", BATCH_ROWS):
            yield compute_behaviour(
                rows, features, arrow_schema, gap, half_life, weights, max_interests, max_recent
            )

    by_pair = project_histories(histories, catalog, time_zone).repartition("pair_key")
    return by_pair.sortWithinPartitions("pair_key").mapInArrow(compute, schema)


def compute_behaviour(
    rows: pa.RecordBatch,
    features: Sequence[ColumnFunction],
    schema: pa.Schema,
    gap: timedelta,
    half_life: timedelta,
    weights: Mapping[str, float],
    max_interests: int,
    max_recent: int,
) -> pa.RecordBatch:
    """Compute the behaviour of complete pairs of user and cutoff.

    `rows` come from `project_histories`, in any order. The columns have the order and types of
    `schema`. Raises ValueError if two pairs share a pair_key, which is all but impossible with 128
    bits.
    """
    log = build_event_log(rows, to_micros(gap))
    columns = {
        **log.pair_columns(),
        **compute_numeric_features(log, features),
        **rank_interests(log, weights, to_micros(half_life), max_interests),
        **aggregate_contexts(log),
        "recent": select_recent_events(log, max_recent),
    }
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
