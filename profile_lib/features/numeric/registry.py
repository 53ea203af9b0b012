"""Register numeric behaviour features: columns and the function that computes them.

A feature is one decorated function:

    @numeric_feature(required("n_night_events", LONG, "events between midnight and 6:00 UTC, ever"))
    def count_night_events(log: EventLog) -> FeatureColumns:
        is_night = log.micros % DAY_MICROS < DAY_MICROS // 4
        yield "n_night_events", log.pairs.count(is_night)

The table `behaviour` and the numbers that a model reads then hold the column. Training and refresh
compute it with the same function.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from profile_lib.arrays.types import Numbers
from profile_lib.features.event_log import EventLog
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.tables.table import TableColumn

FeatureColumns: TypeAlias = Iterator[tuple[str, Numbers | pa.Array]]  # (name, one value per pair)
FeatureFunction: TypeAlias = Callable[[EventLog], FeatureColumns]


class NumericFeature(NamedTuple):
    """Declared columns and the function that computes them all from an event log."""

    columns: tuple[TableColumn, ...]
    compute: FeatureFunction


_features: list[NumericFeature] = []


def numeric_feature(*columns: TableColumn) -> Callable[[FeatureFunction], FeatureFunction]:
    """Register the decorated function as the one that computes these columns.

    It returns (column name, array) for each of them, with one value per pair of user and cutoff.
    Raises ValueError if a column is declared twice.
    """

    def register(compute: FeatureFunction) -> FeatureFunction:
        NUMERIC_FEATURES.register(columns)
        _features.append(NumericFeature(columns, compute))
        return compute

    return register


def unregister_numeric_feature(compute: FeatureFunction) -> None:
    """Remove a registered function and its columns."""
    (feature,) = (feature for feature in _features if feature.compute is compute)
    _features.remove(feature)
    NUMERIC_FEATURES.unregister(feature.columns)


def registered_features() -> tuple[NumericFeature, ...]:
    """Return all registered features in the order of their columns."""
    return tuple(_features)


def compute_numeric_features(
    log: EventLog, features: Sequence[NumericFeature]
) -> dict[str, Numbers | pa.Array]:
    """Compute the columns of these features.

    Raises ValueError if a function returns other columns or lengths than it declares.
    """
    arrays: dict[str, Numbers | pa.Array] = {}
    for columns, compute in features:
        computed = dict(compute(log))
        wanted = [column.name for column in columns]
        if sorted(computed) != sorted(wanted):
            raise ValueError(
                f"{compute.__module__}.{compute.__qualname__}: computed columns "
                f"{sorted(computed)}, declared {sorted(wanted)}; make both the same"
            )
        for name, array in computed.items():
            if len(array) != log.pairs.n_groups:
                raise ValueError(
                    f"{compute.__module__}.{compute.__qualname__}: {len(array)} values in {name}, "
                    f"wanted {log.pairs.n_groups}, one per pair of user and cutoff"
                )
        arrays |= computed
    return arrays
