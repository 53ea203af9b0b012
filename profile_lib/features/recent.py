"""A log in, the last events of each pair of user and cutoff out."""

import numpy as np
import pyarrow as pa

from profile_lib.features.log import MOMENT, Log
from profile_lib.segments import Longs, as_lists, changes, codes_of
from profile_lib.tables import EVENT_TYPES, RECENT_EVENT

KINDS = pa.array(EVENT_TYPES, pa.string())


def last_events(log: Log, most: int) -> pa.ListArray:
    """The last `most` events of each pair, newest first.

    Of events in a row that are alike (kind, item and text) the newest stands for all.
    """
    item, said = (codes_of(log[name])[0] for name in ("item_id", "said"))
    is_new = changes(log.pairs.of, log.kind, item, said)
    rows = np.flatnonzero(np.append(is_new[1:], True))
    of = log.pairs.of[rows]
    age = np.cumsum(np.bincount(of, minlength=log.pairs.n))[of] - 1 - np.arange(len(rows))
    rows, of, age = (values[age < most] for values in (rows, of, age))
    newest_first = rows[np.lexsort((age, of))]
    return as_lists(np.bincount(of, minlength=log.pairs.n), _told(log, newest_first))


def _told(log: Log, rows: Longs) -> pa.StructArray:
    taken = {name: log[name].take(pa.array(rows)) for name in ("item_id", "title", "category")}
    fields = taken | {
        "event_ts": pa.array(log.micros[rows]).cast(MOMENT),
        "event_type": KINDS.take(pa.array(log.kind[rows])),
        "text": log["said"].take(pa.array(rows)),
        "price_level": log["price_level"].take(pa.array(rows)),
    }
    return pa.StructArray.from_arrays([fields[n] for n in RECENT_EVENT.names], RECENT_EVENT.names)
