"""Count events by hour of the day and by context, such as the device."""

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import dictionary_codes, list_offsets, sort_ranks, to_list_array
from profile_lib.features.event_log import DAY_MICROS, EventLog
from profile_lib.tables.events import CONTEXT_COLUMNS

# Column of counts in `behaviour` → the column of events that it counts.
CONTEXT_BY_COUNT_COLUMN = {f"{context}s": context for context in CONTEXT_COLUMNS}


def aggregate_contexts(log: EventLog) -> dict[str, pa.Array]:
    """Return active_hours, (pairs, 24 local hours), and a map of event counts per context."""
    hours = log.pairs.count_by_code(log.local_micros % DAY_MICROS // (DAY_MICROS // 24), 24)
    lists = to_list_array(np.full(log.pairs.n_groups, 24), pa.array(hours.T.ravel()))
    return {"active_hours": lists} | {
        name: _count_by_value(log, context) for name, context in CONTEXT_BY_COUNT_COLUMN.items()
    }


def _count_by_value(log: EventLog, context: str) -> pa.MapArray:
    """Count each pair's events by value of a context column, sorted by value."""
    code, values = dictionary_codes(log[context])
    rank, n_values = sort_ranks(values), max(len(values), 1)
    rows = np.flatnonzero(code >= 0)
    cells = log.pairs.group_ids[rows] * n_values + rank[code[rows]]
    cells, counts = np.unique(cells, return_counts=True)
    sorted_values = values.take(pa.array(np.argsort(rank)))
    names = sorted_values.take(pa.array(cells % n_values))
    lengths = np.bincount(cells // n_values, minlength=log.pairs.n_groups)
    return pa.MapArray.from_arrays(list_offsets(lengths), names, pa.array(counts))
