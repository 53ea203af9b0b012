"""Rank the categories, brands and keywords that users are interested in."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import (
    GroupedRows,
    dictionary_codes,
    first_occurrences,
    index_within_group,
    sort_ranks,
    to_list_array,
)
from profile_lib.arrays.types import Floats, Longs
from profile_lib.features.event_log import EventLog
from profile_lib.tables.events import EVENT_TYPES


def rank_interests(
    log: EventLog, weights: Mapping[str, float], half_life_micros: int, max_interests: int
) -> dict[str, pa.ListArray]:
    """Return each pair's strongest categories, brands and keywords, as of its last event.

    An event has the weight that `weights` gives its kind, 0 by default; it halves every
    `half_life_micros` before the last event. The weight of a category or brand is the sum over its
    events. The weight of a keyword is the sum over the events of the items and queries that contain
    it (term frequency) times its inverse document frequency in the catalog (TF-IDF). A keyword is
    named by its form in the catalog; one that no item has, by its form in the first query. Names
    without a weight above 0, such as those of an item that was only returned, are left out.
    """
    items, query_words = log.interacted_items, log.query_words
    kind_weights = np.array([*(float(weights.get(kind, 0)) for kind in EVENT_TYPES), 0.0])

    def decayed(kind: Longs, micros: Longs, pair: Longs) -> Floats:
        return kind_weights[kind] * np.exp2((micros - log.last_micros[pair]) / half_life_micros)

    item_weights = items.sum(decayed(log.kind, log.micros, log.pairs.group_ids))
    query_word_weights = decayed(
        query_words["kind"].to_numpy(), query_words["micros"].to_numpy(), log.query_word_pairs
    )
    item_words, item = _flatten_lists(items.catalog_values("keyword_weights"))
    idf = pa.concat_arrays([item_words.field("idf"), query_words["idf"]]).to_numpy()
    keywords, forms = (
        pa.concat_arrays([item_words.field("name"), query_words[column]])
        for column in ("query_word", "query_form")
    )
    tf_idf = np.append(item_weights[item], query_word_weights) * idf
    item_pairs = items.pairs.group_ids
    keyword_pairs = np.append(item_pairs[item], log.query_word_pairs)

    def strongest(
        pairs: Longs, names: pa.Array, name_weights: Floats, forms: pa.Array | None = None
    ) -> pa.ListArray:
        forms = names if forms is None else forms
        n_pairs = log.pairs.n_groups
        return _select_strongest(pairs, names, forms, name_weights, n_pairs, max_interests)

    return {
        "categories": strongest(item_pairs, items.catalog_values("category"), item_weights),
        "brands": strongest(item_pairs, items.catalog_values("brand"), item_weights),
        "keywords": strongest(keyword_pairs, keywords, tf_idf, forms),
    }


def _flatten_lists(lists: pa.ListArray) -> tuple[pa.StructArray, Longs]:
    """Return the values of all lists, and the index of each value's list."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    return lists.flatten(), np.repeat(np.arange(len(lists)), lengths)


def _select_strongest(
    pairs: Longs,
    names: pa.Array,
    forms: pa.Array,
    weights: Floats,
    n_pairs: int,
    max_names: int,
) -> pa.ListArray:
    """Return the names with the greatest summed weight of each pair, ties by name.

    A name is returned in the form of the pair's first row with it.
    """
    code, distinct_names = dictionary_codes(names)
    rows = np.flatnonzero(code >= 0)
    first, group = first_occurrences(pairs[rows] * max(len(distinct_names), 1) + code[rows])
    total = GroupedRows(group, len(first)).sum(weights[rows])
    first_row, total = rows[first[total > 0]], total[total > 0]
    pair = pairs[first_row]
    order = np.lexsort((sort_ranks(distinct_names)[code[first_row]], -total, pair))
    chosen = order[index_within_group(pair[order]) < max_names]
    fields = [forms.take(pa.array(first_row[chosen])), pa.array(total[chosen])]
    strongest = pa.StructArray.from_arrays(fields, ["name", "weight"])
    lengths = np.minimum(np.bincount(pair, minlength=n_pairs), max_names)
    return to_list_array(lengths, strongest)
