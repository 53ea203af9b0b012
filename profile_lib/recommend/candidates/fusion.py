"""Sources and split histories in, how much each source is to count out: the sum that finds most.

Strengths are what scores of different sources can be summed by: see `Candidates.normalised_scores`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import Floats, index_within_group, slice_batches
from profile_lib.metrics import ranking as ranks
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    CandidateScorer,
    interacted_before,
    propose_candidates,
    scatter_to_matrix,
)
from profile_lib.recommend.candidates.source import Requests, Source
from profile_lib.recommend.data.histories import Histories
from profile_lib.recommend.evaluation.protocols import ScoreAllItems, requests_from_histories
from profile_lib.recommend.evaluation.relevant_items import RelevantItems

MAX_USERS_PER_BATCH = 256


@dataclass(frozen=True)
class WeightedSum:
    """A score of candidates: their normalised_scores, each source's by its weight."""

    weights: Mapping[str, float]

    def __call__(self, requests: Requests, pairs: Candidates) -> Floats:
        """(m,)."""
        return pairs.normalised_scores @ np.array([self.weights[name] for name in pairs.sources])


def fuse_sources(
    sources: Mapping[str, Source], score: CandidateScorer, candidates_per_source: int, n_items: int
) -> ScoreAllItems:
    """The scores of what the sources name, `candidates_per_source` items or more a user and source, for
    `measure` and `list_top_items`."""

    def score_all(requests: Requests) -> sparse.csr_array:
        pairs = propose_candidates(sources, requests, candidates_per_source)
        pairs = pairs.where(~interacted_before(requests, pairs, bought=False))
        return scatter_to_matrix(pairs, score(requests, pairs), requests.histories.n_users, n_items)

    return score_all


def draw_weights(n_sources: int, n_draws: int, seed: int) -> Floats:
    """(n_sources + n_draws, n_sources) that sum up to 1: each source alone, then drawn evenly."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(n_sources), n_draws)
    return np.vstack([np.eye(n_sources), drawn])


def choose_weights(
    split: DataFrame,
    sources: Mapping[str, Source],
    draws: Floats,
    *,
    candidates_per_source: int,
    k: int,
) -> tuple[WeightedSum, float]:
    """Those of the draws, (d, S), by which what was to be found stands highest, and the NDCG among
    the first k there, the mean over the users; of equal ones the first.

    Each source names `candidates_per_source` items or more a user; items of the past are left out.
    """

    def measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in slice_batches(batches, MAX_USERS_PER_BATCH):
            ndcg = _ndcg_by_draw(part, sources, draws, candidates_per_source, k)
            columns = [np.arange(len(draws)), ndcg, np.full(len(draws), part.num_rows)]
            yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], ["draw", "ndcg", "n"])

    found = split.mapInArrow(measured, "draw long, ndcg double, n long")
    mean = (F.sum("ndcg") / F.sum("n")).alias("ndcg")
    of_draw = found.groupBy("draw").agg(mean).orderBy("draw").toPandas()["ndcg"]
    best = int(of_draw.to_numpy().argmax())
    weights = dict(zip(sources, map(float, draws[best]), strict=True))
    return WeightedSum(weights), float(of_draw[best])


def _ndcg_by_draw(
    batch: pa.RecordBatch,
    sources: Mapping[str, Source],
    draws: Floats,
    candidates_per_source: int,
    k: int,
) -> Floats:
    """(d,): the sum over the users of the batch."""
    requests, relevant = (
        requests_from_histories(Histories.from_batch(batch)),
        RelevantItems.from_batch(batch),
    )
    pairs = propose_candidates(sources, requests, candidates_per_source)
    pairs = pairs.where(~interacted_before(requests, pairs, bought=False))
    normalised_scores, is_proposed = (
        pairs.normalised_scores,
        pairs.contains(relevant.user, relevant.item),
    )
    place = pairs.positions_of(relevant.user[is_proposed], relevant.item[is_proposed])
    column = index_within_group(pairs.user)
    scores = np.full((batch.num_rows, column.max(initial=0) + 1), -np.inf, np.float32)
    named = RelevantItems(
        relevant.user[is_proposed], column[place], relevant.relevance[is_proposed]
    )
    rank = np.full(len(relevant.user), np.inf)
    sums = []
    for weights in draws:
        scores[pairs.user, column] = normalised_scores @ weights
        rank[is_proposed] = ranks.rank_relevant_items(scores, *named)
        sums.append(
            ranks.ranking_metrics_per_user(relevant.user, rank, relevant.relevance, k)["ndcg"].sum()
        )
    return np.array(sums)
