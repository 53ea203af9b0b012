"""Methods of recommending, fitted to histories alone: what `evaluate_recommendations` compares."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import Floats
from profile_lib.config.evaluation import (
    FusionSettings,
    MethodSettings,
    PopularitySettings,
    SasrecSettings,
)
from profile_lib.recommend.candidates.fitting import SourceData, fit_source
from profile_lib.recommend.candidates.fusion import choose_weights, draw_weights, fuse_sources
from profile_lib.recommend.candidates.popularity import fit_popularity
from profile_lib.recommend.candidates.sasrec import SASRec, SasrecShape
from profile_lib.recommend.candidates.sasrec_training import (
    SasrecPlan,
    fit_sasrec,
    read_histories,
    write_histories,
)
from profile_lib.recommend.candidates.source import Requests, Source
from profile_lib.recommend.evaluation.protocols import ScoreAllItems

SHAPE_FIELDS = ("max_steps", "width", "layers", "heads", "dropout")
SEEDED_KINDS = ("factors", "sasrec", "fused")  # kinds that draw


class Split(NamedTuple):
    """The histories that ways are fitted to, and rows of SPLIT_SCHEMA: of whom what is to be found."""

    histories: DataFrame
    requests: DataFrame


class Methods:
    """All of `methods`, fitted to a validation split, where something is chosen by it, and to a test
    split, what was fitted once being kept.

    `vectors` are of the items' texts, (n_items, d); NDCG is of the first `k`; nearest vectors are
    exact below `approximate_search_from` items.
    """

    def __init__(
        self,
        methods: dict[str, MethodSettings],
        validation: Split,
        test: Split,
        vectors: Floats,
        *,
        k: int,
        approximate_search_from: int,
        work: Path,
    ) -> None:
        self.methods, self.validation, self.test = methods, validation, test
        self.vectors, self.k, self.approximate_search_from, self.work = (
            vectors,
            k,
            approximate_search_from,
            work,
        )
        self._fitted: dict[tuple[str, int, bool], Source] = {}

    def seeds_for(self, name: str, seeds: list[int]) -> list[int]:
        """Those by which the way differs: one where it draws nothing."""
        way = self.methods[name]
        if isinstance(way, SasrecSettings):
            return seeds[: way.n_seeds]
        return seeds if way.kind in SEEDED_KINDS else seeds[:1]

    def fit(self, name: str, seed: int) -> tuple[ScoreAllItems, dict[str, Any]]:
        """What scores the test's users, and what was chosen on the validation items."""
        way, n_items = self.methods[name], len(self.vectors)
        if isinstance(way, SasrecSettings):
            model, curve = self._sasrec(way, seed)
            return model.all_scores, {"validation_ndcg": max(curve), "epochs": len(curve)}
        if isinstance(way, FusionSettings):
            sources = {of: self._source(of, seed, is_test=False) for of in way.methods}
            draws = draw_weights(len(sources), way.n_draws, seed)
            weighted, ndcg = choose_weights(
                self.validation.requests,
                sources,
                draws,
                candidates_per_source=way.candidates_per_source,
                k=self.k,
            )
            again = {of: self._source(of, seed, is_test=True) for of in way.methods}
            told = {"validation_ndcg": ndcg, "weights": dict(weighted.weights)}
            return fuse_sources(again, weighted, way.candidates_per_source, n_items), told
        source = self._source(name, seed, is_test=True)

        def score_all(requests: Requests) -> Any:
            return source.scores(requests, n_items)

        return score_all, {}

    def _source(self, name: str, seed: int, *, is_test: bool) -> Source:
        way = self.methods[name]
        at = (name, seed if way.kind in SEEDED_KINDS else 0, is_test)
        if at not in self._fitted:
            split = self.test if is_test else self.validation
            known = SourceData(split.histories, self.vectors, self.approximate_search_from, seed)
            if isinstance(way, PopularitySettings):
                self._fitted[at] = fit_popularity(split.histories, known.n_items)
            else:
                self._fitted[at] = fit_source(known, **way.model_dump())
        return self._fitted[at]

    def _sasrec(self, way: SasrecSettings, seed: int) -> tuple[SASRec, list[float]]:
        folder = str(self.work / "sasrec")
        write_histories(self.validation.requests, folder, n_files=1)
        told = way.model_dump(exclude={"kind", "n_seeds"})
        shape = SasrecShape(len(self.vectors), **{n: told.pop(n) for n in SHAPE_FIELDS})
        plan = SasrecPlan(seed=seed, k=self.k, **told)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return fit_sasrec(read_histories(folder), shape, plan, device)


def mean_measures(measured: DataFrame) -> dict[str, float]:
    """Of a row a user the mean of each measure."""
    names = [name for name in measured.columns if name != "user_id"]
    row = measured.selectExpr(*[f"avg({name}) AS {name}" for name in names]).collect()[0]
    return {name: float(row[name]) for name in names}
