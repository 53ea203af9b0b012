"""Fit the methods that `evaluate_recommendations` compares, to histories alone."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame

from profile_lib.arrays.types import Floats
from profile_lib.recommend.candidates.registry import SourceSpec
from profile_lib.recommend.candidates.source import CandidateSource, SourceData, Validation


class Split(NamedTuple):
    """The histories that methods are fitted to, and the SPLIT_SCHEMA rows that measure them."""

    histories: DataFrame
    requests: DataFrame


class FittedMethods:
    """The methods of an evaluation, each fitted once per seed.

    They are fitted to the histories of the test split.
    Methods that choose weights or epochs do so on the validation split. `vectors`: (n_items, d), of
    the items' texts. `approximate_search_from`: the number of items from which the search for near
    vectors is approximate. `k`: the length of the lists that are compared. `folder`: a folder into
    which a fit may write files.
    """

    def __init__(
        self,
        specs: Mapping[str, SourceSpec],
        validation: Split,
        test: Split,
        vectors: Floats,
        *,
        k: int,
        approximate_search_from: int,
        folder: Path,
    ) -> None:
        self.specs, self.validation, self.test = specs, validation, test
        self.vectors, self.k, self.folder = vectors, k, folder
        self.approximate_search_from = approximate_search_from
        self._fitted: dict[tuple[str, int, bool], CandidateSource] = {}

    def seeds(self, name: str, seeds: Sequence[int]) -> Sequence[int]:
        """Return those of the `seeds` with which the method is compared."""
        spec = self.specs[name]
        return spec.source.seeds_to_compare(spec.settings, seeds)

    def fit(self, name: str, seed: int, *, before_validation: bool = False) -> CandidateSource:
        """Return the method fitted to the histories of the test split.

        With `before_validation` it is fitted to those of the validation split. A method is fitted
        once and then cached.
        """
        spec = self.specs[name]
        key = (name, seed if spec.source.is_seeded else 0, before_validation)
        if key not in self._fitted:
            self._fitted[key] = spec.fit(self._data(seed, before_validation))
        return self._fitted[key]

    def _data(self, seed: int, before_validation: bool) -> SourceData:
        split = self.validation if before_validation else self.test
        validation = Validation(
            self.validation.requests,
            self.k,
            self.folder,
            fit_before=partial(self.fit, seed=seed, before_validation=True),
            fit_all=partial(self.fit, seed=seed),
        )
        return SourceData(
            split.histories,
            self.vectors,
            self.approximate_search_from,
            seed,
            validation=validation,
        )
