"""Find the role of each column of a sample, and its arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from profile_lib.events.drafting.columns import ArrayOfObjects, Column
from profile_lib.events.drafting.roles import COMPLETE, Guess, assign_roles, find_fallbacks
from profile_lib.events.drafting.samples import Sample
from profile_lib.events.drafting.summaries import Summary
from profile_lib.events.drafting.times import DAY, find_clock

# Roles of the elements of an array, which is unfolded if they have several of them. The first ones
# replace those of the row, because then the elements are the events.
EVENT_ROLES = {"event_type", "event_ts"}
ELEMENT_ROLES = EVENT_ROLES | {
    "item_id", "price", "quantity", "title", "category", "brand", "position",
}  # fmt: skip
MIN_ELEMENT_ROLES = 2
SESSION_FOR_USER = 0.4  # certainty that a session stands for a user if there is no user
NEARLY_ALL = 0.99  # share of rows with a user, below which the others are left out
MIN_NEGATIVE = 0.001  # share of negative quantities by which returns are recognised
CONSTANTS = {  # word for all rows → words of a file's name that speak for it
    "purchase": ("purchase", "order", "buy", "sale", "transaction", "invoice", "retail"),
    "review": ("review", "rating"),
    "search": ("search", "quer"),
    "view": ("view", "click", "event"),
}


@dataclass(frozen=True)
class Findings:
    """A guess per role, the array to unfold, and the columns without a role."""

    sample: Sample
    guesses: Mapping[str, Guess]
    fallbacks: Mapping[str, Sequence[Summary]]  # role → columns that fill the gaps of its column
    array: ArrayOfObjects | None
    unused: Sequence[Summary]
    needed: Sequence[Summary]  # columns without which a row is no event, if some rows lack them
    clock: Summary | None = None  # time of day, if the column of the time holds days alone


def find_roles(sample: Sample) -> Findings:
    """Guess the role of each column, and the array whose elements are events or items.

    Columns of elements take precedence over those of the row. A session stands for the user if
    there is none.
    """
    array = _choose_array(sample.nested.arrays)
    inner = {} if array is None else _element_guesses(array)
    summaries = [Summary(column) for column in sample.nested.columns]
    guesses, needed = assign_roles(summaries), []
    kind = guesses.get("event_type")
    if kind is not None and "event_type" not in inner and _lacks_rows(kind, summaries):
        needed.append(kind.summary)
        summaries = [Summary(_select(s.column, kind.summary.filled.index)) for s in summaries]
        guesses = assign_roles(summaries)
    fallbacks = _find_fallbacks(guesses, inner, summaries)
    guesses |= inner
    if "user_id" not in guesses and "session_hint" in guesses:
        session = guesses["session_hint"].summary
        guesses["user_id"] = Guess("user_id", session, SESSION_FOR_USER, "a session for a user")
    user = guesses.get("user_id")
    if user is not None and "user_id" not in fallbacks and user.summary.share_filled < NEARLY_ALL:
        needed.append(user.summary)
    used = {id(guess.summary) for guess in guesses.values()}
    used |= {id(other) for others in fallbacks.values() for other in others}
    unused = [summary for summary in summaries if id(summary) not in used]
    clock = _find_clock(guesses, unused)
    return Findings(sample, guesses, fallbacks, array, unused, needed, clock)


def _lacks_rows(kind: Guess, summaries: Iterable[Summary]) -> bool:
    """Return whether rows lack an event type, such as the lines of a bulk request."""
    return kind.summary.share_filled < COMPLETE and not find_fallbacks(
        "event_type", kind, summaries
    )


def _find_fallbacks(
    guesses: Mapping[str, Guess], inner: Mapping[str, Guess], summaries: Iterable[Summary]
) -> dict[str, Sequence[Summary]]:
    """Return the columns that fill gaps in the chosen one."""
    found = {
        role: find_fallbacks(role, guess, summaries)
        for role, guess in guesses.items()
        if role not in inner
    }
    outer = {
        role: [guesses[role].summary]
        for role in inner
        if role in guesses and role not in EVENT_ROLES
    }
    return {role: others for role, others in (found | outer).items() if others}


def _find_clock(guesses: Mapping[str, Guess], unused: Iterable[Summary]) -> Summary | None:
    """Return the column with the time of day that a column with the day lacks."""
    time = guesses.get("event_ts")
    if time is None or time.summary.times is None or time.summary.times.precision != DAY:
        return None
    return next((s for s in unused if s.share_filled > COMPLETE and find_clock(s.filled)), None)


def _select(column: Column, rows: pd.Index) -> Column:
    return replace(column, values=column.values.loc[rows].reset_index(drop=True))


def _choose_array(arrays: Sequence[ArrayOfObjects]) -> ArrayOfObjects | None:
    """Return the array whose elements have most roles."""
    n_roles = {id(array): len(_element_guesses(array)) for array in arrays}
    best = max(arrays, key=lambda array: (n_roles[id(array)], array.n_elements), default=None)
    return best if best is not None and n_roles[id(best)] >= MIN_ELEMENT_ROLES else None


def _element_guesses(array: ArrayOfObjects) -> dict[str, Guess]:
    guesses = assign_roles([Summary(column) for column in array.columns])
    return {role: guess for role, guess in guesses.items() if role in ELEMENT_ROLES}


def count_words(findings: Findings) -> pd.Series:
    """Count the rows per event type in the source's words, most frequent first."""
    guess = findings.guesses["event_type"]
    values = guess.summary.filled
    for other in findings.fallbacks.get("event_type", ()):
        values = values.combine_first(other.filled)
    return values.value_counts()


class Constant(NamedTuple):
    """The event type of a source that has no column for it."""

    sql: str
    event_types: Sequence[str]
    certainty: float


def guess_constant(findings: Findings, path: str, names: Mapping[str, str]) -> Constant:
    """Guess the event type of all rows.

    Rows with an order and a price are purchases, or returns if the quantity is negative; else the
    name of the file or folder decides.
    """
    guesses = findings.guesses
    if "order_id" in guesses and {"price", "quantity"} & guesses.keys():
        quantity = guesses["quantity"].summary if "quantity" in guesses else None
        if quantity is None or (quantity.numbers < 0).mean() < MIN_NEGATIVE:
            return Constant("'purchase'", ["purchase"], 0.8)
        number = f"CAST({names.get(quantity.path, quantity.sql)} AS DOUBLE)"
        sql = f"CASE WHEN {number} < 0 THEN 'return' ELSE 'purchase' END"
        return Constant(sql, ["purchase", "return"], 0.7)
    name = path.rstrip("/").rpartition("/")[2].lower()
    for word, parts in CONSTANTS.items():
        if any(part in name for part in parts):
            return Constant(f"'{word}'", [word], 0.5)
    word = "review" if "rating" in guesses else "view"
    return Constant(f"'{word}'", [word], 0.3)
