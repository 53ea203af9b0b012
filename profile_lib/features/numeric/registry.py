"""Register numeric behaviour features: columns and the function that computes them.

A feature is one decorated function:

    @numeric_feature(required("n_night_events", LONG, "events from midnight to 6:00, local, ever"))
    def count_night_events(log: EventLog) -> FeatureColumns:
        is_night = log.local_micros % DAY_MICROS < DAY_MICROS // 4
        yield "n_night_events", log.pairs.count(is_night)

The table `behaviour` and the numbers that a model reads then hold the column. Training and refresh
compute it with the same function.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

import pyarrow as pa

from profile_lib.arrays.types import Numbers
from profile_lib.features.event_log import EventLog
from profile_lib.registry import describe_definition
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.tables.registered_columns import ColumnFunction
from profile_lib.tables.table import TableColumn

FeatureColumns: TypeAlias = Iterator[tuple[str, Numbers | pa.Array]]  # (name, one value per pair)
FeatureFunction: TypeAlias = Callable[[EventLog], FeatureColumns]


def numeric_feature(*columns: TableColumn) -> Callable[[FeatureFunction], FeatureFunction]:
    """Register the decorated function as the one that computes these columns.

    It returns (column name, array) for each of them, with one value per pair of user and cutoff.
    Raises ValueError if a column is declared twice.
    """

    def register(compute: FeatureFunction) -> FeatureFunction:
        feature = cast(ColumnFunction, compute)
        feature.columns = {column.name: column for column in columns}
        NUMERIC_FEATURES.registry.register(*(column.name for column in columns))(feature)
        return compute

    return register


def registered_features() -> tuple[ColumnFunction, ...]:
    """Return all registered functions in the order of their columns."""
    return tuple(dict.fromkeys(NUMERIC_FEATURES.registry.all().values()))


def compute_numeric_features(
    log: EventLog, features: Sequence[ColumnFunction]
) -> dict[str, Numbers | pa.Array]:
    """Compute the columns of these features.

    Raises ValueError if a function returns other columns or lengths than it declares.
    """
    arrays: dict[str, Numbers | pa.Array] = {}
    for compute in features:
        computed = dict(compute(log))
        if sorted(computed) != sorted(compute.columns):
            raise ValueError(
                f"{describe_definition(compute)}: computed columns {sorted(computed)}, declared "
                f"{sorted(compute.columns)}; make both the same"
            )
        for name, array in computed.items():
            if len(array) != log.pairs.n_groups:
                raise ValueError(
                    f"{describe_definition(compute)}: {len(array)} values in {name}, wanted "
                    f"{log.pairs.n_groups}, one per pair of user and cutoff"
                )
        arrays |= computed
    return arrays
