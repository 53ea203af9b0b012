"""A log in, the last events of each pair of user and cutoff out."""

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import Longs, dictionary_codes, differs_from_previous, to_list_array
from profile_lib.features.event_log import TIMESTAMP_TYPE, EventLog
from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.features import RECENT_EVENT

EVENT_TYPE_NAMES = pa.array(EVENT_TYPES, pa.string())


def select_recent_events(log: EventLog, max_events: int) -> pa.ListArray:
    """The last `max_events` events of each pair, newest first.

    Of events in a row that are alike (kind, item and text) the newest stands for all.
    """
    item, said = (dictionary_codes(log[name])[0] for name in ("item_id", "query_or_text"))
    is_new = differs_from_previous(log.pairs.group_ids, log.kind, item, said)
    rows = np.flatnonzero(np.append(is_new[1:], True))
    of = log.pairs.group_ids[rows]
    age = np.cumsum(np.bincount(of, minlength=log.pairs.n_groups))[of] - 1 - np.arange(len(rows))
    rows, of, age = (values[age < max_events] for values in (rows, of, age))
    newest_first = rows[np.lexsort((age, of))]
    return to_list_array(
        np.bincount(of, minlength=log.pairs.n_groups), _recent_event_structs(log, newest_first)
    )


def _recent_event_structs(log: EventLog, rows: Longs) -> pa.StructArray:
    taken = {name: log[name].take(pa.array(rows)) for name in ("item_id", "title", "category")}
    fields = taken | {
        "event_ts": pa.array(log.micros[rows]).cast(TIMESTAMP_TYPE),
        "event_type": EVENT_TYPE_NAMES.take(pa.array(log.kind[rows])),
        "text": log["query_or_text"].take(pa.array(rows)),
        "price_level": log["price_level"].take(pa.array(rows)),
    }
    return pa.StructArray.from_arrays([fields[n] for n in RECENT_EVENT.names], RECENT_EVENT.names)
