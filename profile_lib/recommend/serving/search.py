"""Reorder the results of a search by the user's interests."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.candidates.candidate_set import score_pairs
from profile_lib.recommend.candidates.shared.top_k import rank_within_user
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.serving.listing import ListBuilder


def rerank_results(
    listing: ListBuilder,
    requests: Requests,
    queries: pa.Array,
    user: Longs,
    item: Longs,
    personalisation: float,
) -> Longs:
    """Return the positions of the m results in their new order.

    The n `requests` are searches for `queries`, (n,). `user` and `item`, (m,), are the results,
    each user's in the order of the search engine. A result's value is the weighted mean of 1 /
    log2(rank + 1) for the engine's rank and for the ranker's; `personalisation`, from 0 to 1, is
    the weight of the ranker's. Results of equal values stay in the engine's order, and with 0
    nothing moves. The ranker's rank of an unknown item (MISSING) is the engine's.
    """
    engine_rank = rank_within_user(user, -np.arange(len(user), dtype=np.float64)) + 1
    personal_rank = engine_rank.copy()
    known = np.flatnonzero(item != MISSING)
    if len(known) and personalisation > 0:
        with_queries = replace(
            requests, query_vectors=listing.retrieval.reader.texts.look_up(queries)
        )
        scores = _score(listing, with_queries, user[known], item[known])
        # The known items exchange their ranks among themselves.
        ranker_order = np.lexsort((rank_within_user(user[known], scores), user[known]))
        engine_order = np.lexsort((engine_rank[known], user[known]))
        personal_rank[known[ranker_order]] = engine_rank[known[engine_order]]
    value = (1 - personalisation) / np.log2(engine_rank + 1)
    value += personalisation / np.log2(personal_rank + 1)
    return np.lexsort((engine_rank, -value, user))


def _score(listing: ListBuilder, requests: Requests, user: Longs, item: Longs) -> Floats:
    """Return the ranker's scores of pairs, (m,), whether a source proposes them or not."""
    recommender, order = listing.recommender, np.lexsort((item, user))
    pairs = score_pairs(
        recommender.sources,
        requests,
        recommender.rules.candidates_per_source,
        user[order],
        item[order],
    )
    scores = np.empty(len(user))
    scores[order] = recommender.score(requests, pairs)
    return scores
