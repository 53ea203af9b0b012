"""Choose the weights of sources with the highest NDCG on held-out items."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import index_within_group, slice_batches
from profile_lib.arrays.types import Floats
from profile_lib.metrics import ranking
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    interacted_before,
    propose_candidates,
)
from profile_lib.recommend.candidates.source import CandidateSource
from profile_lib.recommend.data.arrow_columns import record_batch
from profile_lib.recommend.data.histories import Histories
from profile_lib.recommend.data.relevant_items import RelevantItems
from profile_lib.recommend.data.requests import Requests, requests_from_histories

MAX_USERS_PER_BATCH = 256
NDCG_SCHEMA = "draw long, ndcg double, n_users long"


@dataclass(frozen=True)
class WeightedSum:
    """A scorer of candidates by the weighted sum of their normalised scores."""

    weights: Mapping[str, float]

    def __call__(self, requests: Requests, pairs: Candidates) -> Floats:
        """Return the scores of the pairs, (m,)."""
        return pairs.normalised_scores @ np.array([self.weights[name] for name in pairs.sources])


def draw_weights(n_sources: int, n_draws: int, seed: int) -> Floats:
    """Draw `n_draws` random weights of sources, each summing up to 1.

    The result is (n_sources + n_draws, n_sources); the first rows weight each source alone.
    """
    drawn = np.random.default_rng(seed).dirichlet(np.ones(n_sources), n_draws)
    return np.vstack([np.eye(n_sources), drawn])


def choose_weights(
    split: DataFrame,
    sources: Mapping[str, CandidateSource],
    draws: Floats,
    *,
    candidates_per_source: int,
    k: int,
) -> tuple[WeightedSum, float]:
    """Return the weights with the highest NDCG, and that NDCG.

    `draws`: (d, S), the weights to compare; among equally good ones the first is chosen. The NDCG
    is that of the first `k` items, averaged over the users of `split`, rows of SPLIT_SCHEMA. Each
    source proposes about `candidates_per_source` items per user; items of the history are left out.
    """

    def measure(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in slice_batches(batches, MAX_USERS_PER_BATCH):
            ndcg = _sum_ndcg_per_draw(part, sources, draws, candidates_per_source, k)
            n_users = np.full(len(draws), part.num_rows)
            yield record_batch(NDCG_SCHEMA, [np.arange(len(draws)), ndcg, n_users])

    sums = split.mapInArrow(measure, NDCG_SCHEMA)
    mean = (F.sum("ndcg") / F.sum("n_users")).alias("ndcg")
    ndcg = sums.groupBy("draw").agg(mean).orderBy("draw").toPandas()["ndcg"]
    best = int(ndcg.to_numpy().argmax())
    weights = dict(zip(sources, map(float, draws[best]), strict=True))
    return WeightedSum(weights), float(ndcg[best])


def _sum_ndcg_per_draw(
    batch: pa.RecordBatch,
    sources: Mapping[str, CandidateSource],
    draws: Floats,
    candidates_per_source: int,
    k: int,
) -> Floats:
    """Sum the NDCG over the users of a batch, per draw, (d,)."""
    requests = requests_from_histories(Histories.from_batch(batch))
    relevant = RelevantItems.from_batch(batch)
    pairs = propose_candidates(sources, requests, candidates_per_source)
    pairs = pairs.where(~interacted_before(requests, pairs, bought=False))
    is_proposed = pairs.contains(relevant.user, relevant.item)
    position = pairs.positions_of(relevant.user[is_proposed], relevant.item[is_proposed])
    column = index_within_group(pairs.user)
    scores = np.full((batch.num_rows, column.max(initial=0) + 1), -np.inf, np.float32)
    proposed = RelevantItems(
        relevant.user[is_proposed], column[position], relevant.relevance[is_proposed]
    )
    rank = np.full(len(relevant.user), np.inf)
    sums = []
    for weights in draws:
        scores[pairs.user, column] = pairs.normalised_scores @ weights
        rank[is_proposed] = ranking.rank_relevant_items(scores, *proposed)
        metrics = ranking.ranking_metrics_per_user(relevant.user, rank, relevant.relevance, k)
        sums.append(metrics["ndcg"].sum())
    return np.array(sums)
