"""Sources and split histories in, how much each source is to count out: the sum that finds most.

Strengths are what scores of different sources can be summed by: see `Candidates.strengths`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib import ranks
from profile_lib.recommend.candidates import (
    Candidates,
    Score,
    candidates,
    met_before,
    scattered,
)
from profile_lib.recommend.histories import Histories
from profile_lib.recommend.protocols import ScoreAll, by_histories
from profile_lib.recommend.sources import Asked, Source
from profile_lib.recommend.wanted import Wanted
from profile_lib.segments import Floats, in_parts, place_within

USERS_AT_ONCE = 256


@dataclass(frozen=True)
class Weighted:
    """A score of candidates: their strengths, each source's by its weight."""

    weights: Mapping[str, float]

    def __call__(self, asked: Asked, pairs: Candidates) -> Floats:
        """(m,)."""
        return pairs.strengths @ np.array([self.weights[name] for name in pairs.sources])


def fused(sources: Mapping[str, Source], score: Score, a_source: int, n_items: int) -> ScoreAll:
    """The scores of what the sources name, `a_source` items or more a user and source, for
    `measure` and `lists`."""

    def score_all(asked: Asked) -> sparse.csr_array:
        pairs = candidates(sources, asked, a_source)
        pairs = pairs.where(~met_before(asked, pairs, bought=False))
        return scattered(pairs, score(asked, pairs), asked.histories.n, n_items)

    return score_all


def draw_weights(n_sources: int, n_draws: int, seed: int) -> Floats:
    """(n_sources + n_draws, n_sources) that sum up to 1: each source alone, then drawn evenly."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(n_sources), n_draws)
    return np.vstack([np.eye(n_sources), drawn])


def best_weights(
    split: DataFrame, sources: Mapping[str, Source], draws: Floats, *, a_source: int, k: int
) -> tuple[Weighted, float]:
    """Those of the draws, (d, S), by which what was to be found stands highest, and the NDCG among
    the first k there, the mean over the users; of equal ones the first.

    Each source names `a_source` items or more a user; items of the past are left out.
    """

    def measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in in_parts(batches, USERS_AT_ONCE):
            ndcg = _ndcg_by_draw(part, sources, draws, a_source, k)
            columns = [np.arange(len(draws)), ndcg, np.full(len(draws), part.num_rows)]
            yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], ["draw", "ndcg", "n"])

    found = split.mapInArrow(measured, "draw long, ndcg double, n long")
    mean = (F.sum("ndcg") / F.sum("n")).alias("ndcg")
    of_draw = found.groupBy("draw").agg(mean).orderBy("draw").toPandas()["ndcg"]
    best = int(of_draw.to_numpy().argmax())
    weights = dict(zip(sources, map(float, draws[best]), strict=True))
    return Weighted(weights), float(of_draw[best])


def _ndcg_by_draw(
    batch: pa.RecordBatch, sources: Mapping[str, Source], draws: Floats, a_source: int, k: int
) -> Floats:
    """(d,): the sum over the users of the batch."""
    asked, wanted = by_histories(Histories.of_batch(batch)), Wanted.of_batch(batch)
    pairs = candidates(sources, asked, a_source)
    pairs = pairs.where(~met_before(asked, pairs, bought=False))
    strengths, is_named = pairs.strengths, pairs.has(wanted.user, wanted.item)
    place = pairs.of(wanted.user[is_named], wanted.item[is_named])
    column = place_within(pairs.user)
    scores = np.full((batch.num_rows, column.max(initial=0) + 1), -np.inf, np.float32)
    named = Wanted(wanted.user[is_named], column[place], wanted.gain[is_named])
    rank = np.full(len(wanted.user), np.inf)
    sums = []
    for weights in draws:
        scores[pairs.user, column] = strengths @ weights
        rank[is_named] = ranks.full_ranks(scores, *named)
        sums.append(ranks.by_user(wanted.user, rank, wanted.gain, k)["ndcg"].sum())
    return np.array(sums)
