"""Assign the columns of a source to those of events, by their names and values."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from profile_lib.events.drafting.evidence import (
    judge_id,
    judge_number,
    judge_values,
    share_of_known_words,
)
from profile_lib.events.drafting.summaries import Summary, determines
from profile_lib.events.drafting.vocabulary import NAMES, score_name

MIN_CERTAINTY = 0.45  # of a guess that is written into the draft
MIN_FALLBACK = 0.35  # certainty of a column that fills the gaps of another
MIN_KNOWN_WORDS = 0.6  # share of rows with known words by which event types are recognised
COMPLETE = 0.9  # share of rows with a value, below which a second column fills the gaps
CERTAINTY_BY_VALUES = {"event_ts": 0.6, "event_type": 0.8, "user_id": 0.4, "item_id": 0.4}
CERTAINTY_BY_VALUES |= {"category": 0.4, "price": 0.5}
NAMED_FIRST = {"user_id", "item_id", "session_hint"}  # without any of these, values decide


class Guess(NamedTuple):
    """A column for a role, how sure that is, and what it was recognised by."""

    role: str
    summary: Summary
    certainty: float
    reason: str = "name"


def assign_roles(summaries: Sequence[Summary]) -> dict[str, Guess]:
    """Return the best column of each role that has one; a column has one role.

    Names decide first. Missing roles among time, event type, user and item are then guessed by
    values, as in a file without a header.
    """
    guesses: dict[str, Guess] = {}
    used: set[str] = set()
    for guess in sorted(rank_by_name(summaries), key=lambda g: -g.certainty):
        if guess.role not in guesses and guess.summary.path not in used:
            guesses[guess.role] = guess
            used.add(guess.summary.path)
    rest = [summary for summary in summaries if summary.path not in used and summary.n_filled]
    for guess in guess_by_values(rest, guesses):
        guesses[guess.role] = guess
    return guesses


def rank_by_name(summaries: Iterable[Summary]) -> Iterable[Guess]:
    """Yield the roles that fit the name and the values of a column."""
    for summary in summaries:
        for role in NAMES:
            score = score_name(role, summary.path)
            certainty = score * judge_values(role, summary) if score >= MIN_CERTAINTY else 0.0
            if certainty >= MIN_CERTAINTY:
                yield Guess(role, summary, round(certainty, 2))


def guess_by_values(rest: list[Summary], known: dict[str, Guess]) -> Iterable[Guess]:
    """Yield guesses about roles that no name speaks for, from columns without a role.

    Users and items are guessed only if there is a time, and if no name is known, as in a file
    without a header.
    """
    times: list[Summary] = []
    if "event_ts" not in known:
        times = [s for s in rest if s.times is not None and s.share_filled > COMPLETE]
        yield from _take(rest, "event_ts", max(times, key=lambda s: s.n_distinct, default=None))
    if "event_type" not in known:
        words = [s for s in rest if judge_values("event_type", s) > 0]
        best = max(words, key=share_of_known_words, default=None)
        if best is not None and share_of_known_words(best) >= MIN_KNOWN_WORDS:
            yield from _take(rest, "event_type", best)
    has_time = "event_ts" in known or bool(times)
    if has_time and not NAMED_FIRST & known.keys():
        yield from _guess_ids(rest)
        prices = [s for s in rest if judge_number(s) == 1.0 and s.share_whole < 0.5]
        yield from _take(rest, "price", next(iter(prices), None))


def _guess_ids(rest: list[Summary]) -> Iterable[Guess]:
    """Yield the user, whose rows follow each other, the item, and what the item determines."""
    ids = [s for s in rest if judge_id(s) == 1.0 and s.share_filled > COMPLETE and s.n_distinct > 1]
    user = max(ids, key=lambda s: round(s.share_repeated, 1), default=None)
    yield from _take(rest, "user_id", user)
    others = [s for s in ids if s is not user]
    item = max(others, key=lambda s: s.n_distinct, default=None)
    yield from _take(rest, "item_id", item)
    if item is not None:
        labels = [s for s in others if s is not item and determines(item, s)]
        yield from _take(rest, "category", next(iter(labels), None))


def _take(rest: list[Summary], role: str, summary: Summary | None) -> Iterable[Guess]:
    if summary is not None:
        rest.remove(summary)
        yield Guess(role, summary, CERTAINTY_BY_VALUES[role], "values alone")


def find_fallbacks(role: str, guess: Guess, summaries: Iterable[Summary]) -> list[Summary]:
    """Return other columns that fill the gaps of an incomplete one, most complete last."""
    if guess.summary.share_filled >= COMPLETE:
        return []
    others = [
        summary
        for summary in summaries
        if summary is not guess.summary
        and summary.share_filled > guess.summary.share_filled
        and score_name(role, summary.path) * judge_values(role, summary) >= MIN_FALLBACK
    ]
    return sorted(others, key=lambda summary: summary.share_filled)[-1:]
