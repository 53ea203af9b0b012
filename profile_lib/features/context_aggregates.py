"""A log in, when, where and by what each user comes out."""

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import dictionary_codes, list_offsets, sort_ranks, to_list_array
from profile_lib.features.event_log import DAY_MICROS, EventLog
from profile_lib.tables.events import CONTEXT_COLUMNS

ORIGIN_BY_COUNT_COLUMN = {
    f"{origin}s": origin for origin in CONTEXT_COLUMNS
}  # column of behaviour → of events


def aggregate_contexts(log: EventLog) -> dict[str, pa.Array]:
    """active_hours, events in each hour of the day, UTC; and by each origin a map of events."""
    hours = log.pairs.count_by_code(log.micros % DAY_MICROS // (DAY_MICROS // 24), 24)
    lists = to_list_array(np.full(log.pairs.n_groups, 24), pa.array(hours.T.ravel()))
    return {"active_hours": lists} | {
        n: _count_by_value(log, c) for n, c in ORIGIN_BY_COUNT_COLUMN.items()
    }


def _count_by_value(log: EventLog, origin: str) -> pa.MapArray:
    """Events of each value that a pair has, values in order."""
    code, values = dictionary_codes(log[origin])
    rank, n = sort_ranks(values), max(len(values), 1)
    rows = np.flatnonzero(code >= 0)
    cells, counts = np.unique(log.pairs.group_ids[rows] * n + rank[code[rows]], return_counts=True)
    names = values.take(pa.array(np.argsort(rank))).take(pa.array(cells % n))
    lengths = np.bincount(cells // n, minlength=log.pairs.n_groups)
    return pa.MapArray.from_arrays(list_offsets(lengths), names, pa.array(counts))
