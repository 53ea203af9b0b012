"""Select the last events of each pair of user and cutoff."""

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import dictionary_codes, differs_from_previous, to_list_array
from profile_lib.arrays.types import Longs
from profile_lib.features.event_log import TIMESTAMP_TYPE, EventLog
from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.features import RECENT_EVENT

EVENT_TYPE_NAMES = pa.array(EVENT_TYPES, pa.string())


def select_recent_events(log: EventLog, max_events: int) -> pa.ListArray:
    """Return the last `max_events` events of each pair, newest first.

    Consecutive events with the same kind, item and text count as one, the newest.
    """
    item, text = (dictionary_codes(log[name])[0] for name in ("item_id", "query_or_text"))
    is_new = differs_from_previous(log.pairs.group_ids, log.kind, item, text)
    rows = np.flatnonzero(np.append(is_new[1:], True))  # the last row of each run of repeats
    pair = log.pairs.group_ids[rows]
    end_of_pair = np.cumsum(np.bincount(pair, minlength=log.pairs.n_groups))
    age = end_of_pair[pair] - 1 - np.arange(len(rows))  # 0 is the newest
    rows, pair, age = (values[age < max_events] for values in (rows, pair, age))
    newest_first = rows[np.lexsort((age, pair))]
    lengths = np.bincount(pair, minlength=log.pairs.n_groups)
    return to_list_array(lengths, _recent_event_structs(log, newest_first))


def _recent_event_structs(log: EventLog, rows: Longs) -> pa.StructArray:
    columns = {
        name: log[name].take(pa.array(rows))
        for name in ("item_id", "title", "category", "price_level")
    }
    fields = columns | {
        "event_ts": pa.array(log.micros[rows]).cast(TIMESTAMP_TYPE),
        "event_type": EVENT_TYPE_NAMES.take(pa.array(log.kind[rows])),
        "text": log["query_or_text"].take(pa.array(rows)),
    }
    return pa.StructArray.from_arrays([fields[n] for n in RECENT_EVENT.names], RECENT_EVENT.names)
