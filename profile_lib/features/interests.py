"""Seen items and a log in, interests of each pair of user and cutoff out."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import (
    Floats,
    GroupedRows,
    Longs,
    dictionary_codes,
    first_occurrences,
    sort_ranks,
    to_list_array,
)
from profile_lib.features.item_aggregates import InteractedItems
from profile_lib.tables.events import EVENT_TYPES


def rank_interests(
    interacted_items: InteractedItems,
    weights: Mapping[str, float],
    half_life: int,
    max_interests: int,
) -> dict[str, pa.ListArray]:
    """The `max_interests` strongest categories, brands and keywords of each pair, as of its last event.

    An event weighs what `weights` says of its kind, half of it each `half_life` microseconds
    before the last event. A keyword's weight is that of the items and queries that hold it (term
    frequency) times its inverse document frequency in the catalogue (TF-IDF).
    """
    log, n = interacted_items.log, interacted_items.log.pairs.n_groups
    kind_weights = np.array([*(float(weights.get(kind, 0)) for kind in EVENT_TYPES), 0.0])

    def decayed(kind: Longs, micros: Longs, pair: Longs) -> Floats:
        return kind_weights[kind] * np.exp2((micros - log.last_micros[pair]) / half_life)

    of_items = interacted_items.sum(decayed(log.kind, log.micros, log.pairs.group_ids))
    query_words = log.query_words
    of_words = decayed(
        query_words["kind"].to_numpy(), query_words["micros"].to_numpy(), log.query_word_pairs
    )
    words, item = _flatten_lists(interacted_items.catalog_values("keyword_weights"))
    idf = pa.concat_arrays([words.field("idf"), query_words["idf"]]).to_numpy()
    keywords = pa.concat_arrays([words.field("name"), query_words["query_word"]])
    tf_idf = np.append(of_items[item], of_words) * idf
    pair, of_keyword = (
        interacted_items.pairs.group_ids,
        np.append(interacted_items.pairs.group_ids[item], log.query_word_pairs),
    )
    return {
        "categories": _strongest(
            pair, interacted_items.catalog_values("category"), of_items, n, max_interests
        ),
        "brands": _strongest(
            pair, interacted_items.catalog_values("brand"), of_items, n, max_interests
        ),
        "keywords": _strongest(of_keyword, keywords, tf_idf, n, max_interests),
    }


def _flatten_lists(lists: pa.ListArray) -> tuple[pa.StructArray, Longs]:
    """What the lists hold, one after the other, and of which list each is."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    return lists.flatten(), np.repeat(np.arange(len(lists)), lengths)


def _strongest(
    pairs: Longs, names: pa.Array, weight: Floats, n: int, max_interests: int
) -> pa.ListArray:
    """Of each of `n` pairs the `max_interests` names of the greatest summed weight, ties by name."""
    code, known = dictionary_codes(names)
    rows = np.flatnonzero(code >= 0)
    first, place = first_occurrences(pairs[rows] * max(len(known), 1) + code[rows])
    total = GroupedRows(place, len(first)).sum(weight[rows])
    pair, name = pairs[rows[first]], code[rows[first]]
    order = np.lexsort((sort_ranks(known)[name], -total, pair))
    counts = np.bincount(pair, minlength=n)
    place_in_pair = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = order[place_in_pair < max_interests]
    fields = [known.take(pa.array(name[chosen])), pa.array(total[chosen])]
    strongest = pa.StructArray.from_arrays(fields, ["name", "weight"])
    return to_list_array(np.minimum(counts, max_interests), strongest)
