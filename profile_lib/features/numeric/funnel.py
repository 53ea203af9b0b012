"""Measure how near to an order users came, by pages and funnel depth."""

import numpy as np
import pyarrow as pa

from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.events import EVENT_TYPES, FUNNEL_STEPS, STEPS
from profile_lib.tables.table import DOUBLE, INT, LONG, optional, required

SPANS = {"_session": "in the current session", "": "among the last events"}
DEPTH_SPANS = {
    "_session": "in the current session: furthest",
    "": "among the last events: furthest",
    "_since_purchase": "since the last purchase: furthest",
    "_last": "latest",
}

# The funnel depth of each kind and page: its place in FUNNEL_STEPS from 1, 0 if it is not in the
# funnel. The last cell is for a code of -1, which stands for an unknown kind or page.
DEPTH_NAME_BY_KIND = {"checkout": "basket", "purchase": "done"}
DEPTH_BY_KIND, DEPTH_BY_STEP = (
    np.array([*(FUNNEL_STEPS.index(n) + 1 if n in FUNNEL_STEPS else 0 for n in names), 0])
    for names in ([DEPTH_NAME_BY_KIND.get(k, k) for k in EVENT_TYPES], STEPS)
)


@numeric_feature(
    *(
        required(f"n_{step}_step{suffix}", LONG, f"number of events on the page {step} {span}")
        for suffix, span in SPANS.items()
        for step in STEPS
    )
)
def count_pages(log: EventLog) -> FeatureColumns:
    """Count events by page of the shop."""
    counts = log.pairs.count_by_code(log.step, len(STEPS))
    in_session = log.pairs.count_by_code(log.step, len(STEPS), log.in_window["session"])
    for code, name in enumerate(STEPS):
        yield f"n_{name}_step", counts[code]
        yield f"n_{name}_step_session", in_session[code]


@numeric_feature(
    *(
        optional(f"seconds_since_{step}_step", DOUBLE, f"seconds since the last event on {step}")
        for step in STEPS
    )
)
def measure_page_recency(log: EventLog) -> FeatureColumns:
    """Measure the time since each page was last visited."""
    for code, name in enumerate(STEPS):
        yield f"seconds_since_{name}_step", log.seconds_since_last(log.step == code)


@numeric_feature(
    *(
        required(f"funnel_depth{suffix}", INT, f"{span} position in FUNNEL_STEPS; 0 for none")
        for suffix, span in DEPTH_SPANS.items()
    ),
    optional("events_since_funnel_step", LONG, "number of events since the last funnel step"),
    optional("seconds_since_funnel_step", DOUBLE, "seconds since the last funnel step"),
)
def measure_funnel_depth(log: EventLog) -> FeatureColumns:
    """Measure how deep in the funnel users came, and how long ago.

    A return has no depth, on whichever page it happens.
    """
    depth = np.maximum(DEPTH_BY_KIND[log.kind], DEPTH_BY_STEP[log.step])
    depth[log.is_kind("return")] = 0
    is_in_funnel = depth > 0
    last = log.pairs.last_true(is_in_funnel)
    yield "funnel_depth", log.pairs.max(depth, is_in_funnel, 0)
    yield "funnel_depth_session", log.pairs.max(depth, log.in_window["session"], 0)
    yield "funnel_depth_since_purchase", log.pairs.max(depth, log.is_after_last_purchase, 0)
    yield "funnel_depth_last", np.where(last >= 0, depth[last], 0)
    yield "events_since_funnel_step", pa.array(log.pairs.end_rows - 1 - last, mask=last < 0)
    yield "seconds_since_funnel_step", log.seconds_since_last(is_in_funnel)
