"""Make the events of visits: the planned actions in order, with times."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.visit_actions import (
    CART,
    CHECKOUT,
    CLICK,
    NO_ITEM,
    PAGE,
    PURCHASE,
    REVIEW,
    VIEW,
    PlannedAction,
    draw_outcomes,
    plan_browsing,
    plan_checkout,
    plan_return_visit,
)
from profile_lib.simulation.visits import DAY_SECONDS, Impressions, Visits

READ_ACTIONS = (CLICK, PAGE)  # the actions with a dwell time
# Added to the number of the visit that a return visit or a review follows.
RETURN_VISIT_OFFSET, REVIEW_VISIT_OFFSET = 100_000, 200_000
MAX_WAIT_SECONDS = 1_500.0  # shorter than the usual gap between sessions
BOT_WAIT_SECONDS = 0.2  # more events per minute than a person makes


@dataclass(frozen=True)
class VisitEvents:
    """Arrays with one row per event."""

    visit: Longs  # row of Visits
    visit_number: Longs  # within the user; a return or a review is a separate visit
    event_number: Longs  # within the visit, from 0
    action: Longs  # index into ACTIONS
    item: Longs  # row of Catalog; -1 for none
    position: Longs  # in the shop's list, from 1; 0 if the event is not about an item in a list
    milliseconds: Longs  # since the beginning of the first day
    dwell_seconds: Floats  # NaN if not measured

    def select(self, mask: Flags) -> "VisitEvents":
        """Select the events for which `mask` is true."""
        return VisitEvents(*(getattr(self, f.name)[mask] for f in fields(self)))

    @staticmethod
    def concatenate(parts: "Sequence[VisitEvents]") -> "VisitEvents":
        """Join the events of all parts."""
        names = [f.name for f in fields(VisitEvents)]
        return VisitEvents(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def make_visit_events(
    rng: KeyedRandom, visits: Visits, impressions: Impressions, n_days: int
) -> VisitEvents:
    """Make all events within `n_days`, with return visits and reviews."""
    outcomes = draw_outcomes(rng, visits)
    plan = plan_browsing(rng, visits, impressions, outcomes.adds_to_cart)
    plan += plan_checkout(rng, visits, impressions, outcomes)
    first_events = _schedule_actions(rng, visits, impressions, plan, visits.start, 0)
    return_days = 0.5 + 0.45 * rng.uniform("return after", *visits.keys)
    return_events = _schedule_actions(
        rng,
        visits,
        impressions,
        plan_return_visit(rng, visits, impressions, outcomes.returns),
        visits.start + DAY_SECONDS * return_days,
        RETURN_VISIT_OFFSET,
    )
    events = VisitEvents.concatenate([first_events, return_events])
    reviews = _make_reviews(rng, visits, events.select(events.action == PURCHASE))
    events = VisitEvents.concatenate([events, reviews])
    return events.select(events.milliseconds < n_days * DAY_SECONDS * 1000)


def _schedule_actions(
    rng: KeyedRandom,
    visits: Visits,
    impressions: Impressions,
    plan: Sequence[PlannedAction],
    start: Floats,
    visit_offset: int,
) -> VisitEvents:
    """Put the planned actions in order and give them times.

    `start` holds each visit's first second. Each event follows the one before it after a wait.
    """
    visit = np.concatenate([p.visit for p in plan])
    action = np.concatenate([np.full(len(p.visit), p.action) for p in plan])
    impression = np.concatenate([p.impression for p in plan])
    order = np.lexsort((np.concatenate([p.order for p in plan]), visit))
    visit, action, impression = visit[order], action[order], impression[order]
    first_row = np.searchsorted(visit, visit)  # row of the visit's first event
    event_number = np.arange(len(visit)) - first_row
    visit_number = visits.visit_number[visit] + visit_offset
    has_item = impression != NO_ITEM
    relevance = np.where(has_item, impressions.relevance[impression], 0.3)
    keys = (visits.user[visit], visit_number, event_number)
    dwell_seconds, wait_seconds = _draw_durations(rng, action, relevance, *keys)
    wait_seconds = np.where(visits.is_bot[visit], BOT_WAIT_SECONDS, wait_seconds)
    # Sums of integers are exact, so they do not depend on the other visits of the batch.
    waits = np.rint(1000 * wait_seconds).astype(np.int64)
    elapsed = np.cumsum(waits) - waits
    is_in_list = np.isin(action, (VIEW, CLICK)) & (visit_offset == 0)
    return VisitEvents(
        visit=visit,
        visit_number=visit_number,
        event_number=event_number,
        action=action,
        item=np.where(has_item, impressions.item[impression], -1),
        position=np.where(is_in_list, impressions.position[impression], 0),
        milliseconds=np.rint(1000 * start[visit]).astype(np.int64) + elapsed - elapsed[first_row],
        dwell_seconds=np.where(np.isin(action, READ_ACTIONS), dwell_seconds, np.nan),
    )


def _draw_durations(
    rng: KeyedRandom, action: Longs, relevance: Floats, *keys: Longs
) -> tuple[Floats, Floats]:
    """Draw each event's dwell time, and the wait until the next event, both in seconds."""
    is_read = np.isin(action, READ_ACTIONS)
    dwell = np.where(is_read, np.exp(2.4 + 1.4 * relevance + 0.7 * rng.normal("dwell", *keys)), 0)
    dwell = np.round(np.minimum(dwell, MAX_WAIT_SECONDS / 2), 1)
    checkout_delay = np.where(np.isin(action, (CART, CHECKOUT)), 1.8, 0.0)
    log_pause = 1.5 + checkout_delay + rng.normal("wait", *keys)
    pause = np.minimum(np.exp(log_pause), MAX_WAIT_SECONDS / 2)
    return dwell, dwell + pause


def _make_reviews(rng: KeyedRandom, visits: Visits, purchases: VisitEvents) -> VisitEvents:
    """Review half of the purchases, two to ten days later."""
    keys = (visits.user[purchases.visit], purchases.visit_number, purchases.event_number)
    delay = 1000 * DAY_SECONDS * (2 + 8 * rng.uniform("review after", *keys))
    reviews = VisitEvents(
        visit=purchases.visit,
        visit_number=purchases.visit_number + REVIEW_VISIT_OFFSET,
        event_number=purchases.event_number,
        action=np.full(len(delay), REVIEW),
        item=purchases.item,
        position=np.zeros(len(delay), dtype=np.int64),
        milliseconds=purchases.milliseconds + np.rint(delay).astype(np.int64),
        dwell_seconds=np.full(len(delay), np.nan),
    )
    return reviews.select(rng.uniform("reviews", *keys) < 0.5)
