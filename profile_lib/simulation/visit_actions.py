"""Plan the actions of visits along the purchase funnel; `visit_events.py` gives them times."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.visits import Impressions, Visits

ACTIONS = (
    "page", "search", "view", "click", "favourite", "add_to_cart", "remove_from_cart",
    "checkout", "purchase", "review",
)  # fmt: skip
PAGE, SEARCH, VIEW, CLICK, FAVOURITE, CART, UNCART, CHECKOUT, PURCHASE, REVIEW = range(10)
# Users look at position p of a list with probability p^-POSITION_BIAS_EXPONENT.
POSITION_BIAS_EXPONENT = 0.5
# Sort keys within a visit: the entry comes before the shown items, and the checkout after them.
FIRST_ITEM_ORDER, ITEM_ORDER_STEP, CHECKOUT_ORDER = 10.0, 10.0, 200.0
MAX_REPEATED_CLICKS = 4
NO_ITEM = -1  # in place of a row of Impressions, for an action without an item


class PlannedAction(NamedTuple):
    """An action that some visits contain; each array has one entry per such visit."""

    visit: Longs  # row of Visits
    order: Floats  # sort key within the visit
    action: int  # index into ACTIONS
    impression: Longs  # row of Impressions whose item it is about, or NO_ITEM


@dataclass(frozen=True)
class Outcomes:
    """How far each visit gets along the purchase funnel: flags, one per visit."""

    adds_to_cart: Flags
    checks_out: Flags
    buys: Flags
    returns: Flags  # the user comes back the next day for the item left in the cart


def draw_outcomes(rng: KeyedRandom, visits: Visits) -> Outcomes:
    """Draw how far each visit gets: further with more intent; bots only browse."""
    intent, keys = visits.intent, visits.keys
    adds_to_cart = rng.uniform("carts", *keys) < 0.03 + 0.85 * intent**2
    adds_to_cart &= ~visits.is_bot
    checks_out = adds_to_cart & (rng.uniform("checks", *keys) < 0.35 + 0.5 * intent)
    buys = checks_out & (rng.uniform("buys", *keys) < 0.8)
    returns = adds_to_cart & ~buys & (rng.uniform("returns", *keys) < 0.6)
    return Outcomes(adds_to_cart, checks_out, buys, returns)


def plan_browsing(
    rng: KeyedRandom, visits: Visits, impressions: Impressions, adds_to_cart: Flags
) -> list[PlannedAction]:
    """Plan the actions of each visit up to its target in the cart."""
    target = target_impressions(impressions)
    entry = rng.uniform("entry", *visits.keys)
    searches = np.flatnonzero(entry < 0.35 + 0.3 * visits.intent)
    pages = np.flatnonzero(entry > 0.75)
    visit = impressions.visit
    keys = (visits.user[visit], visits.visit_number[visit], impressions.slot)
    order = FIRST_ITEM_ORDER + impressions.slot * ITEM_ORDER_STEP
    examination = impressions.position.astype(float) ** -POSITION_BIAS_EXPONENT
    is_clicked = rng.uniform("click", *keys) < examination * (0.25 + 0.75 * impressions.relevance)
    is_clicked |= impressions.is_target & adds_to_cart[visit]
    is_liked = is_clicked & (rng.uniform("like", *keys) < 0.02 + 0.12 * impressions.relevance)
    plan = [
        PlannedAction(pages, np.zeros(len(pages)), PAGE, np.full(len(pages), NO_ITEM)),
        PlannedAction(searches, np.full(len(searches), 1.0), SEARCH, target[searches]),
        PlannedAction(visit, order, VIEW, np.arange(len(visit))),
    ]
    for delay, action, is_done in ((1.0, CLICK, is_clicked), (2.0, FAVOURITE, is_liked)):
        rows = np.flatnonzero(is_done)
        plan.append(PlannedAction(visit[rows], order[rows] + delay, action, rows))
    n_repeats = -np.log(1 - rng.uniform("repeats", *keys)) * (0.2 + 1.8 * visits.intent[visit])
    for n in range(1, MAX_REPEATED_CLICKS + 1):  # interested users click the target again
        rows = np.flatnonzero(is_clicked & impressions.is_target & (n_repeats >= n))
        plan.append(PlannedAction(visit[rows], order[rows] + 2 + n, CLICK, rows))
    rows = target[adds_to_cart]
    plan.append(PlannedAction(visit[rows], order[rows] + 7, CART, rows))
    return plan


def plan_checkout(
    rng: KeyedRandom, visits: Visits, impressions: Impressions, outcomes: Outcomes
) -> list[PlannedAction]:
    """Plan the end of each visit.

    Sometimes a second item, the first one shown, is put in the cart, and perhaps removed again.
    """
    target, first = target_impressions(impressions), np.flatnonzero(impressions.slot == 0)
    has_other_item = first != target
    adds_first = outcomes.checks_out & has_other_item & (rng.uniform("adds", *visits.keys) < 0.3)
    removes_first = adds_first & (rng.uniform("drops", *visits.keys) < 0.25)
    buys_first = outcomes.buys & adds_first & ~removes_first
    no_item = np.full(len(first), NO_ITEM)
    return [
        _plan_where(adds_first, CHECKOUT_ORDER, CART, first),
        _plan_where(removes_first, CHECKOUT_ORDER + 1, UNCART, first),
        _plan_where(outcomes.checks_out, CHECKOUT_ORDER + 2, CHECKOUT, no_item),
        _plan_where(outcomes.buys, CHECKOUT_ORDER + 3, PURCHASE, target),
        _plan_where(buys_first, CHECKOUT_ORDER + 3.5, PURCHASE, first),
    ]


def plan_return_visit(
    rng: KeyedRandom, visits: Visits, impressions: Impressions, returns: Flags
) -> list[PlannedAction]:
    """Plan the next day's return to the item left in the cart."""
    target = target_impressions(impressions)
    buys = returns & (rng.uniform("buys later", *visits.keys) < 0.45 + 0.5 * visits.intent)
    return [
        _plan_where(returns, 1.0, CLICK, target),
        _plan_where(buys, 2.0, CHECKOUT, np.full(len(target), NO_ITEM)),
        _plan_where(buys, 3.0, PURCHASE, target),
    ]


def target_impressions(impressions: Impressions) -> Longs:
    """Return the row of Impressions of each visit's target."""
    return np.flatnonzero(impressions.is_target)


def _plan_where(is_done: Flags, order: float, action: int, impression: Longs) -> PlannedAction:
    """Plan an action in the visits where `is_done` is true."""
    visit = np.flatnonzero(is_done)
    return PlannedAction(visit, np.full(len(visit), order), action, impression[is_done])
