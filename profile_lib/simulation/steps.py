"""Make the events of visits: the timed steps of the purchase funnel."""

from dataclasses import dataclass, fields

import numpy as np

from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.visits import DAY_SECONDS, Impressions, Visits

ACTIONS = (
    "page", "search", "view", "click", "favourite", "add_to_cart", "remove_from_cart",
    "checkout", "purchase", "review",
)  # fmt: skip
PAGE, SEARCH, VIEW, CLICK, FAVOURITE, CART, UNCART, CHECKOUT, PURCHASE, REVIEW = range(10)
READ_ACTIONS = (CLICK, PAGE)  # those with a dwell time
# Users examine position p of a list with probability p^-POSITION_BIAS_EXPONENT.
POSITION_BIAS_EXPONENT = 0.5
# Added to the number of the visit that caused the return or the review.
RETURN_VISIT_OFFSET, REVIEW_VISIT_OFFSET = 100_000, 200_000
MAX_WAIT_SECONDS = 1_500.0  # well within the usual gap of a session
BOT_WAIT_SECONDS = 0.2  # more events per minute than a person makes


@dataclass(frozen=True)
class Steps:
    """Arrays with one row per event."""

    visit: Longs  # row of Visits
    visit_number: Longs  # within the user; a return or a review is a separate visit
    step: Longs  # within the visit
    action: Longs  # index into ACTIONS
    item: Longs  # row of Catalog; -1 for none
    position: Longs  # from 1; 0 if not in a list
    time: Longs  # milliseconds since the first day
    dwell: Floats  # seconds; NaN if not measured

    def select(self, mask: Flags) -> "Steps":
        """Select the steps for which `mask` is true."""
        return Steps(*(getattr(self, f.name)[mask] for f in fields(self)))

    @staticmethod
    def concatenate(parts: "list[Steps]") -> "Steps":
        """Join the steps of all parts."""
        return Steps(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Steps)))


def make_steps(rng: KeyedRandom, visits: Visits, impressions: Impressions, n_days: int) -> Steps:
    """Make all events within the days, with return visits and reviews."""
    target = np.flatnonzero(impressions.is_target)  # row of each visit's target
    carts = rng.uniform("carts", *visits.keys) < 0.03 + 0.85 * visits.intent**2
    carts &= ~visits.is_bot
    checks = carts & (rng.uniform("checks", *visits.keys) < 0.35 + 0.5 * visits.intent)
    buys = checks & (rng.uniform("buys", *visits.keys) < 0.8)
    returns = carts & ~buys & (rng.uniform("returns", *visits.keys) < 0.6)
    plan = _plan_browsing(rng, visits, impressions, carts)
    plan += _plan_checkout(rng, visits, impressions, target, checks, buys)
    main = _schedule_steps(rng, visits, impressions, plan, visits.start, 0)
    again = _schedule_steps(
        rng,
        visits,
        impressions,
        _plan_return_visit(rng, visits, target, returns),
        visits.start + DAY_SECONDS * (0.5 + 0.45 * rng.uniform("return after", *visits.keys)),
        RETURN_VISIT_OFFSET,
    )
    bought = Steps.concatenate([main, again])
    reviews = _make_reviews(rng, visits, bought.select(bought.action == PURCHASE))
    steps = Steps.concatenate([bought, reviews])
    return steps.select(steps.time < n_days * DAY_SECONDS * 1000)


# Per action: rows of Visits, ranks within the visit, the action, rows of Impressions or -1.
Plan = list[tuple[Longs, Floats, int, Longs]]


def _plan_browsing(
    rng: KeyedRandom, visits: Visits, impressions: Impressions, carts: Flags
) -> Plan:
    """Plan the steps of a visit up to the item put in the cart."""
    every = np.arange(len(visits.user))
    draw = rng.uniform("entry", *visits.keys)
    searches = every[draw < 0.35 + 0.3 * visits.intent]
    pages = every[draw > 0.75]
    visit, no_item = impressions.visit, np.full(len(visits.user), -1)
    keys = (visits.user[visit], visits.visit_number[visit], impressions.slot)
    rank = 10.0 + impressions.slot * 10
    examined = impressions.position.astype(float) ** -POSITION_BIAS_EXPONENT
    clicked = rng.uniform("click", *keys) < examined * (0.25 + 0.75 * impressions.relevance)
    clicked |= impressions.is_target & carts[visit]
    liked = clicked & (rng.uniform("like", *keys) < 0.02 + 0.12 * impressions.relevance)
    plan: Plan = [
        (pages, np.zeros(len(pages)), PAGE, no_item[pages]),
        (
            searches,
            np.full(len(searches), 1.0),
            SEARCH,
            np.flatnonzero(impressions.is_target)[searches],
        ),
        (visit, rank, VIEW, np.arange(len(visit))),
    ]
    for after, action, mask in ((1.0, CLICK, clicked), (2.0, FAVOURITE, liked)):
        rows = np.flatnonzero(mask)
        plan.append((visit[rows], rank[rows] + after, action, rows))
    repeats = -np.log(1 - rng.uniform("repeats", *keys)) * (0.2 + 1.8 * visits.intent[visit])
    for n in range(1, 5):  # interested users click the target again
        rows = np.flatnonzero(clicked & impressions.is_target & (repeats >= n))
        plan.append((visit[rows], rank[rows] + 2 + n, CLICK, rows))
    rows = np.flatnonzero(impressions.is_target)[carts]
    plan.append((visit[rows], rank[rows] + 7, CART, rows))
    return plan


def _plan_checkout(
    rng: KeyedRandom,
    visits: Visits,
    impressions: Impressions,
    target: Longs,
    checks: Flags,
    buys: Flags,
) -> Plan:
    """Plan the end of a visit; sometimes a second item is added or removed."""
    first = np.flatnonzero(impressions.slot == 0)
    adds = checks & (first != target) & (rng.uniform("adds", *visits.keys) < 0.3)
    drops = adds & (rng.uniform("drops", *visits.keys) < 0.25)
    steps = (
        (200.0, CART, adds, first),
        (201.0, UNCART, drops, first),
        (202.0, CHECKOUT, checks, np.full(len(first), -1)),
        (203.0, PURCHASE, buys, target),
        (203.5, PURCHASE, buys & adds & ~drops, first),
    )
    return [
        (np.flatnonzero(mask), np.full(mask.sum(), rank), action, shown[mask])
        for rank, action, mask, shown in steps
    ]


def _plan_return_visit(rng: KeyedRandom, visits: Visits, target: Longs, returns: Flags) -> Plan:
    """Plan the next day's return to the item left in the cart."""
    buys = returns & (rng.uniform("buys later", *visits.keys) < 0.45 + 0.5 * visits.intent)
    steps = ((1.0, CLICK, returns), (2.0, CHECKOUT, buys), (3.0, PURCHASE, buys))
    return [
        (
            np.flatnonzero(mask),
            np.full(mask.sum(), rank),
            action,
            np.full(mask.sum(), -1) if action == CHECKOUT else target[mask],
        )
        for rank, action, mask in steps
    ]


def _schedule_steps(
    rng: KeyedRandom,
    visits: Visits,
    impressions: Impressions,
    plan: Plan,
    start: Floats,
    visit_offset: int,
) -> Steps:
    """Put the plan in order; each step waits for the one before it."""
    visit = np.concatenate([p[0] for p in plan])
    rank = np.concatenate([p[1] for p in plan])
    action = np.concatenate([np.full(len(p[0]), p[2]) for p in plan])
    shown = np.concatenate([p[3] for p in plan])
    order = np.lexsort((rank, visit))
    visit, action, shown = visit[order], action[order], shown[order]
    first = np.searchsorted(visit, visit)  # row of the visit's first step
    step = np.arange(len(visit)) - first
    visit_number = visits.visit_number[visit] + visit_offset
    relevance = np.where(shown >= 0, impressions.relevance[shown], 0.3)
    dwell, wait = _draw_times(rng, action, relevance, visits.user[visit], visit_number, step)
    wait = np.where(visits.is_bot[visit], BOT_WAIT_SECONDS, wait)
    waits = np.rint(1000 * wait).astype(np.int64)  # integers, so that sums are exact in any batch
    elapsed = np.cumsum(waits) - waits
    listed = np.isin(action, (VIEW, CLICK)) & (visit_offset == 0)
    return Steps(
        visit=visit,
        visit_number=visit_number,
        step=step,
        action=action,
        item=np.where(shown >= 0, impressions.item[shown], -1),
        position=np.where(listed, impressions.position[shown], 0),
        time=np.rint(1000 * start[visit]).astype(np.int64) + elapsed - elapsed[first],
        dwell=np.where(np.isin(action, READ_ACTIONS), dwell, np.nan),
    )


def _draw_times(
    rng: KeyedRandom, action: Longs, relevance: Floats, *keys: Longs
) -> tuple[Floats, Floats]:
    """Draw the dwell time of each step, and the wait until the next step: seconds."""
    is_read = np.isin(action, READ_ACTIONS)
    dwell = np.where(is_read, np.exp(2.4 + 1.4 * relevance + 0.7 * rng.normal("dwell", *keys)), 0)
    dwell = np.round(np.minimum(dwell, MAX_WAIT_SECONDS / 2), 1)
    slow = np.where(np.isin(action, (CART, CHECKOUT)), 1.8, 0.0)
    pause = np.minimum(np.exp(1.5 + slow + rng.normal("wait", *keys)), MAX_WAIT_SECONDS / 2)
    return dwell, dwell + pause


def _make_reviews(rng: KeyedRandom, visits: Visits, bought: Steps) -> Steps:
    """Review half of the purchases, two to ten days later."""
    keys = (visits.user[bought.visit], bought.visit_number, bought.step)
    after = 1000 * DAY_SECONDS * (2 + 8 * rng.uniform("review after", *keys))
    reviews = Steps(
        visit=bought.visit,
        visit_number=bought.visit_number + REVIEW_VISIT_OFFSET,
        step=bought.step,
        action=np.full(len(after), REVIEW),
        item=bought.item,
        position=np.zeros(len(after), dtype=np.int64),
        time=bought.time + np.rint(after).astype(np.int64),
        dwell=np.full(len(after), np.nan),
    )
    return reviews.select(rng.uniform("reviews", *keys) < 0.5)
