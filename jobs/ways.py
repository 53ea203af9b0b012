"""Ways of recommending, fitted to histories alone: what `evaluate_recommendations` compares."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pyspark.sql import DataFrame

from profile_lib.recommend.fitting import Known, fit_source
from profile_lib.recommend.fusion import best_weights, draw_weights, fused
from profile_lib.recommend.popularity import most_met
from profile_lib.recommend.protocols import ScoreAll
from profile_lib.recommend.sasrec import SASRec, Shape
from profile_lib.recommend.sasrec_training import Plan, fit_sasrec, read_histories, write_histories
from profile_lib.recommend.sources import Asked, Source
from profile_lib.sections.evaluating import FusedSettings, PopularitySettings, SasrecSettings, Way
from profile_lib.segments import Floats

OF_SHAPE = ("longest", "width", "layers", "heads", "dropout")
SEEDED = ("factors", "sasrec", "fused")  # kinds that draw


class Split(NamedTuple):
    """The histories that ways are fitted to, and rows of SPLIT: of whom what is to be found."""

    known: DataFrame
    asked: DataFrame


class Ways:
    """All of `ways`, fitted to a validation split, where something is chosen by it, and to a test
    split, what was fitted once being kept.

    `vectors` are of the items' texts, (n_items, d); NDCG is of the first `k`; nearest vectors are
    exact below `exact_below` items.
    """

    def __init__(
        self,
        ways: dict[str, Way],
        validation: Split,
        test: Split,
        vectors: Floats,
        *,
        k: int,
        exact_below: int,
        work: Path,
    ) -> None:
        self.ways, self.validation, self.test = ways, validation, test
        self.vectors, self.k, self.exact_below, self.work = vectors, k, exact_below, work
        self._fitted: dict[tuple[str, int, bool], Source] = {}

    def seeds_of(self, name: str, seeds: list[int]) -> list[int]:
        """Those by which the way differs: one where it draws nothing."""
        way = self.ways[name]
        if isinstance(way, SasrecSettings):
            return seeds[: way.n_seeds]
        return seeds if way.kind in SEEDED else seeds[:1]

    def fit(self, name: str, seed: int) -> tuple[ScoreAll, dict[str, Any]]:
        """What scores the test's users, and what was chosen on the validation items."""
        way, n_items = self.ways[name], len(self.vectors)
        if isinstance(way, SasrecSettings):
            model, curve = self._sasrec(way, seed)
            return model.all_scores, {"validation_ndcg": max(curve), "epochs": len(curve)}
        if isinstance(way, FusedSettings):
            sources = {of: self._source(of, seed, is_test=False) for of in way.of}
            draws = draw_weights(len(sources), way.n_draws, seed)
            weighted, ndcg = best_weights(
                self.validation.asked, sources, draws, a_source=way.a_source, k=self.k
            )
            again = {of: self._source(of, seed, is_test=True) for of in way.of}
            told = {"validation_ndcg": ndcg, "weights": dict(weighted.weights)}
            return fused(again, weighted, way.a_source, n_items), told
        source = self._source(name, seed, is_test=True)

        def score_all(asked: Asked) -> Any:
            return source.scores(asked, n_items)

        return score_all, {}

    def _source(self, name: str, seed: int, *, is_test: bool) -> Source:
        way = self.ways[name]
        at = (name, seed if way.kind in SEEDED else 0, is_test)
        if at not in self._fitted:
            split = self.test if is_test else self.validation
            known = Known(split.known, self.vectors, self.exact_below, seed)
            if isinstance(way, PopularitySettings):
                self._fitted[at] = most_met(split.known, known.n_items)
            else:
                self._fitted[at] = fit_source(known, **way.model_dump())
        return self._fitted[at]

    def _sasrec(self, way: SasrecSettings, seed: int) -> tuple[SASRec, list[float]]:
        folder = str(self.work / "sasrec")
        write_histories(self.validation.asked, folder, n_files=1)
        told = way.model_dump(exclude={"kind", "n_seeds"})
        shape = Shape(len(self.vectors), **{n: told.pop(n) for n in OF_SHAPE})
        plan = Plan(seed=seed, k=self.k, **told)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return fit_sasrec(read_histories(folder), shape, plan, device)


def mean_of(measured: DataFrame) -> dict[str, float]:
    """Of a row a user the mean of each measure."""
    names = [name for name in measured.columns if name != "user_id"]
    row = measured.selectExpr(*[f"avg({name}) AS {name}" for name in names]).collect()[0]
    return {name: float(row[name]) for name in names}
