"""A log in, when, where and by what each user comes out."""

import numpy as np
import pyarrow as pa

from profile_lib.features.log import DAY, Log
from profile_lib.segments import as_lists, codes_of, offsets, ranks
from profile_lib.tables import ORIGINS

PLACES = {f"{origin}s": origin for origin in ORIGINS}  # column of behaviour → of events


def count_habits(log: Log) -> dict[str, pa.Array]:
    """active_hours, events in each hour of the day, UTC; and by each origin a map of events."""
    hours = log.pairs.tally(log.micros % DAY // (DAY // 24), 24)
    lists = as_lists(np.full(log.pairs.n, 24), pa.array(hours.T.ravel()))
    return {"active_hours": lists} | {n: _counts_by(log, c) for n, c in PLACES.items()}


def _counts_by(log: Log, origin: str) -> pa.MapArray:
    """Events of each value that a pair has, values in order."""
    code, values = codes_of(log[origin])
    rank, n = ranks(values), max(len(values), 1)
    rows = np.flatnonzero(code >= 0)
    cells, counts = np.unique(log.pairs.of[rows] * n + rank[code[rows]], return_counts=True)
    names = values.take(pa.array(np.argsort(rank))).take(pa.array(cells % n))
    lengths = np.bincount(cells // n, minlength=log.pairs.n)
    return pa.MapArray.from_arrays(offsets(lengths), names, pa.array(counts))
