"""Results of searches and who asked in, the same results in the order that suits them out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import Floats, Longs, index_within_group
from profile_lib.recommend.candidates.candidate_set import score_pairs
from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.serving.listing import ListBuilder


def rerank_results(
    listing: ListBuilder,
    requests: Requests,
    queries: pa.Array,
    user: Longs,
    item: Longs,
    personalisation: float,
) -> Longs:
    """(m,): the places of the results in their new order, each user's together.

    Of n users who `asked` by `queries`, (n,), `user` and `item`, (m,), are the results, each user's
    best first as the search engine has them. A result is worth 1 / log2(place + 1) by its place
    there and by its place in the ranker's order, `personalisation` of 0 to 1 of the latter; equal ones stay
    as they stood. With 0 nothing moves. An item that isn't known (MISSING) stands in both where the
    search engine put it.
    """
    engine = _places(user, -np.arange(len(user), dtype=np.float64))
    known = np.flatnonzero(item != MISSING)
    requests = replace(requests, query_vectors=listing.retrieval.reader.texts.look_up(queries))
    personal = engine.copy()
    if len(known) and personalisation > 0:
        scores = _scores(listing, requests, user[known], item[known])
        own = _places(user[known], scores)
        # What is known changes places among itself.
        among = _places(user[known], -engine[known])
        order, place = np.lexsort((among, user[known])), np.lexsort((own, user[known]))
        personal[known[place]] = engine[known[order]]
    worth = (1 - personalisation) / np.log2(engine + 1) + personalisation / np.log2(personal + 1)
    return np.lexsort((engine, -worth, user))


def _scores(listing: ListBuilder, requests: Requests, user: Longs, item: Longs) -> Floats:
    """(m,): what the ranker says of these pairs, whichever source names them."""
    recommender, order = listing.recommender, np.lexsort((item, user))
    pairs = score_pairs(
        recommender.sources,
        requests,
        recommender.rules.candidates_per_source,
        user[order],
        item[order],
    )
    said = recommender.score(requests, pairs)
    in_order = np.empty(len(user))
    in_order[order] = said
    return in_order


def _places(user: Longs, scores: Floats) -> Floats:
    """(m,): the place of each among its user's, from 1, the highest score first; equal ones in
    their order."""
    order = np.lexsort((np.arange(len(user)), -scores, user))
    place = np.empty(len(user))
    place[order] = index_within_group(user[order]) + 1
    return place
