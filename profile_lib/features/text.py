"""Behaviour in, the text that the encoder reads out."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.tables.events import FUNNEL_STEPS

SEPARATOR = " [SEP] "  # the encoder's own token: the n-th event is what follows n of them
N_TOP_CATEGORIES = 3


def build_behaviour_text(
    recent: Column, categories: Column, origins: Column, depth: Column, max_events: int
) -> Column:
    """How near an order the user came, what they like and from where they come, then the last
    `max_events` events, newest first, parted by [SEP].

    The strongest categories say what lies further back than the text reaches. An event says its
    kind, the item's title and category, the query, review or page, a word for the price where it
    is in the cheap or the dear quarter of its category, and a word for the time since the event
    before it where that is a quarter of an hour or more.
    """
    newest = F.slice(recent, 1, max_events)
    pieces = F.transform(newest, lambda event, i: _event_text(event, F.get(recent, i + 1)))
    return F.array_join(
        F.concat(F.array(_user_text(categories, origins, depth)), pieces), SEPARATOR
    )


def _user_text(categories: Column, origins: Column, depth: Column) -> Column:
    reached = F.get(F.array(*[F.lit(f"reached {name}") for name in FUNNEL_STEPS]), depth - 1)
    names = F.transform(F.slice(categories, 1, N_TOP_CATEGORIES), lambda c: c["name"])
    place = F.lower(F.concat_ws(" ", origins))
    origin = F.when(place != "", F.concat(F.lit("from "), place))
    return _strip_brackets(F.concat_ws(" ", reached, F.lit("likes"), names, origin))


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
    return F.regexp_replace(words, r"[\[\]]", " ")  # nobody's text may part events


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
