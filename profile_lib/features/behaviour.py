"""Known events and items in, behaviour at each cutoff out: training and refresh share it."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.counts import count_events
from profile_lib.features.habits import count_habits
from profile_lib.features.interests import (
    as_of_last_event,
    in_session,
    inverse_document_frequency,
    query_words,
    rank_interests,
    seen_items,
    summarise_items,
    weigh_words,
)
from profile_lib.features.known import PAIR
from profile_lib.features.recent import last_events
from profile_lib.tables import BEHAVIOUR

NONE_SEEN = ("n_items", "n_items_added", "most_views_of_an_item", "views_of_last_item")


def build_behaviour(
    known: DataFrame,
    items: DataFrame,
    *,
    gap: timedelta,
    half_life: timedelta,
    weights: Mapping[str, float],
    max_interests: int,
    max_recent: int,
) -> DataFrame:
    """The table `behaviour` of what `known_events` found, one row a (user_id, cutoff_ts).

    Interests halve every `half_life` and are as of the last event; `weights` says what one event
    of a kind counts for them. `known` is read several times: keep it while this is computed.
    """
    idf = inverse_document_frequency(items)
    seen = seen_items(known, weights, half_life).join(weigh_words(items, idf), "item_id", "left")
    asked = query_words(known, idf, weights, half_life)
    joined = (
        count_events(known, gap)
        .join(summarise_items(seen), PAIR, "left")
        .join(rank_interests(seen, asked, max_interests), PAIR, "left")
        .join(count_habits(known), PAIR)
        .join(last_events(known, items, max_recent), PAIR)
    )
    age = F.col("seconds_since_event")
    return joined.withColumns(
        {
            **{n: F.coalesce(n, F.lit(0).cast("long")) for n in NONE_SEEN},
            "n_items_session": in_session(),
            "n_items_added_session": in_session(when="added_ts"),
            "n_categories_session": in_session("category"),
            "categories": as_of_last_event(F.col("category"), age, half_life),
            "brands": as_of_last_event(F.col("brand"), age, half_life),
            "keywords": as_of_last_event(F.col("keyword"), age, half_life),
        }
    ).select(*BEHAVIOUR.names())
