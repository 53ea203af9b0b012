"""Seen items and a log in, interests of each pair of user and cutoff out."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.features.seen import SeenItems
from profile_lib.segments import Floats, Longs, Segments, as_lists, codes_of, first_of_each, ranks
from profile_lib.tables import EVENT_TYPES


def rank_interests(
    seen: SeenItems, weights: Mapping[str, float], half_life: int, most: int
) -> dict[str, pa.ListArray]:
    """The `most` strongest categories, brands and keywords of each pair, as of its last event.

    An event weighs what `weights` says of its kind, half of it each `half_life` microseconds
    before the last event. A keyword's weight is that of the items and queries that hold it (term
    frequency) times its inverse document frequency in the catalogue (TF-IDF).
    """
    log, n = seen.log, seen.log.pairs.n
    worth = np.array([*(float(weights.get(kind, 0)) for kind in EVENT_TYPES), 0.0])

    def decayed(kind: Longs, micros: Longs, pair: Longs) -> Floats:
        return worth[kind] * np.exp2((micros - log.last[pair]) / half_life)

    of_items = seen.total(decayed(log.kind, log.micros, log.pairs.of))
    asked = log.asked
    of_words = decayed(asked["kind"].to_numpy(), asked["micros"].to_numpy(), log.asked_by)
    words, item = _spread(seen.fact("words"))
    idf = pa.concat_arrays([words.field("idf"), asked["idf"]]).to_numpy()
    keywords = pa.concat_arrays([words.field("name"), asked["asked"]])
    tf_idf = np.append(of_items[item], of_words) * idf
    pair, of_keyword = seen.pairs.of, np.append(seen.pairs.of[item], log.asked_by)
    return {
        "categories": _strongest(pair, seen.fact("category"), of_items, n, most),
        "brands": _strongest(pair, seen.fact("brand"), of_items, n, most),
        "keywords": _strongest(of_keyword, keywords, tf_idf, n, most),
    }


def _spread(lists: pa.ListArray) -> tuple[pa.StructArray, Longs]:
    """What the lists hold, one after the other, and of which list each is."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    return lists.flatten(), np.repeat(np.arange(len(lists)), lengths)


def _strongest(of: Longs, names: pa.Array, weight: Floats, n: int, most: int) -> pa.ListArray:
    """Of each of `n` pairs the `most` names of the greatest summed weight, ties by name."""
    code, known = codes_of(names)
    rows = np.flatnonzero(code >= 0)
    first, place = first_of_each(of[rows] * max(len(known), 1) + code[rows])
    total = Segments(place, len(first)).total(weight[rows])
    pair, name = of[rows[first]], code[rows[first]]
    order = np.lexsort((ranks(known)[name], -total, pair))
    counts = np.bincount(pair, minlength=n)
    place_in_pair = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = order[place_in_pair < most]
    fields = [known.take(pa.array(name[chosen])), pa.array(total[chosen])]
    strongest = pa.StructArray.from_arrays(fields, ["name", "weight"])
    return as_lists(np.minimum(counts, most), strongest)
