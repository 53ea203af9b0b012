"""Write behaviour as the text that the encoder reads."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.tables.events import FUNNEL_STEPS

SEPARATOR = " [SEP] "  # a token of the encoder; the n-th separator precedes the n-th event
N_TOP_CATEGORIES = 3


def build_behaviour_text(
    recent: Column, categories: Column, contexts: Column, funnel_depth: Column, max_events: int
) -> Column:
    """Return a text about the user and the last `max_events` events, separated by [SEP].

    The part about the user holds the funnel step that they reached, their strongest categories,
    which also cover events too old for the text, and their contexts, such as the device. The events
    follow, newest first. Each holds its kind, the item's title and category, the query, review or
    page, a word for a price in the cheapest or most expensive quarter of its category, and words
    for a gap of a quarter of an hour or more to the event before it.
    """
    newest = F.slice(recent, 1, max_events)
    events = F.transform(newest, lambda event, i: _event_text(event, F.get(recent, i + 1)))
    user = F.array(_user_text(categories, contexts, funnel_depth))
    return F.array_join(F.concat(user, events), SEPARATOR)


def _user_text(categories: Column, contexts: Column, funnel_depth: Column) -> Column:
    steps = F.array(*[F.lit(f"reached {name}") for name in FUNNEL_STEPS])
    reached = F.get(steps, funnel_depth - 1)
    names = F.transform(F.slice(categories, 1, N_TOP_CATEGORIES), lambda c: c["name"])
    joined = F.lower(F.concat_ws(" ", contexts))
    context = F.when(joined != "", F.concat(F.lit("from "), joined))
    return _strip_brackets(F.concat_ws(" ", reached, F.lit("likes"), names, context))


def _event_text(event: Column, before: Column) -> Column:
    words = F.concat_ws(
        " ",
        event["event_type"],
        event["title"],
        _price_word(event["price_level"]),
        F.when(event["category"] != F.coalesce(event["title"], F.lit("")), event["category"]),
        F.substring(event["text"], 1, 200),
        _gap_words(event["event_ts"], before["event_ts"]),
    )
    return _strip_brackets(words)


def _strip_brackets(words: Column) -> Column:
    return F.regexp_replace(words, r"[\[\]]", " ")  # users' texts must not contain a separator


def _price_word(level: Column) -> Column:
    return F.when(level < 0.25, "cheap").when(level >= 0.75, "expensive")


def _gap_words(ts: Column, before: Column) -> Column:
    gap = ts.cast("double") - before.cast("double")
    return (
        F.when(gap >= 7 * 86400, "weeks later")
        .when(gap >= 86400, "days later")
        .when(gap >= 3600, "hours later")
        .when(gap >= 900, "minutes later")
    )
