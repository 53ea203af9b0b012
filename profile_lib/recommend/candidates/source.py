"""Define candidate sources and the shop data they are fitted to.

A source is fitted to frames on a cluster. After that it is arrays alone, so that the same code
scores a batch of users in a Spark task and a single user in a server.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pyspark.sql import DataFrame
from scipy import sparse

from profile_lib.arrays.types import Floats, Longs
from profile_lib.config.section import Section
from profile_lib.recommend.candidates.shared.packing import State, pack_fields, unpack_fields
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.requests import Requests


class Need(StrEnum):
    """Data that a source may need besides histories."""

    TEXTS = "item texts"
    INTERESTS = "interest vectors"
    EVENTS = "events"
    VALIDATION = "held-out validation items"


@dataclass(frozen=True)
class Validation:
    """Held-out items, by which some sources choose their weights or epochs.

    `requests`: rows of SPLIT_SCHEMA, whose histories end before the relevant items. `k`: NDCG of
    the first k items is compared. `folder`: where a fit may write files. `fit_before` and
    `fit_all` fit another source of the settings by its name, to the histories before the held-out
    items, and to all histories.
    """

    requests: DataFrame
    k: int
    folder: Path
    fit_before: Callable[[str], "CandidateSource"]
    fit_all: Callable[[str], "CandidateSource"]


@dataclass(frozen=True)
class SourceData:
    """The data of a shop that sources are fitted to.

    `histories`: user_id and STEPS. `vectors`: (n_items, d), of the items' texts, of length 1 or
    zeros; nearest vectors are searched for exactly below `approximate_search_from` items. `seed`:
    of all random draws.

    Some sources need more: `events` and `items` (item_id, item); `interest_map`, which maps
    interest vectors to text vectors; the known values of each of the `contexts`; the `weights` of
    the event types; the second `now` that all is as of; and `validation`.
    """

    histories: DataFrame
    vectors: Floats
    approximate_search_from: int
    seed: int
    events: DataFrame | None = None
    items: DataFrame | None = None
    interest_map: Floats | None = None
    contexts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    now: int = 0
    validation: Validation | None = None

    @property
    def n_items(self) -> int:
        """Return how many items have a number."""
        return len(self.vectors)


class CandidateSource(ABC):
    """Find items for users: the one interface of all sources.

    Write a subclass, most simply a frozen dataclass of arrays and numbers, which is saved and
    loaded without more code, and register it by `candidate_source` (see `registry.py`).
    """

    kind: ClassVar[str]  # set by the registry: the value of `kind` in the settings
    settings_type: ClassVar[type[Section]]  # set by the registry
    needs: ClassVar[frozenset[Need]] = frozenset()  # data besides histories
    is_seeded: ClassVar[bool] = False  # whether the fit draws random numbers
    default_reason: ClassVar[str | None] = None  # a sentence with {item} or {place}, or neither

    @classmethod
    @abstractmethod
    def fit(cls, data: SourceData, settings: Any) -> "CandidateSource":
        """Fit the source to a shop's data, with settings of its `settings_type`."""

    @abstractmethod
    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Score at least the k best items of each user, best first.

        The result is (n, n_items). Higher is better; an item that isn't stored is no candidate.
        Scores of different sources have different units.
        """

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """Return the item that explains each pair of a user and a candidate, (m,).

        It is an item of the user's history, or MISSING if no single one explains the candidate.
        """
        return np.full(len(user), MISSING)

    def score_all(self, requests: Requests, n_items: int) -> sparse.csr_array | Floats:
        """Score all items, (n, n_items), for an evaluation."""
        return self.scores(requests, n_items)

    @property
    def choices(self) -> dict[str, Any]:
        """Return what the fit chose on the validation items, for a report."""
        return {}

    @classmethod
    def seeds_to_compare(cls, settings: Any, seeds: Sequence[int]) -> Sequence[int]:
        """Return the seeds to compare: one if the fit draws nothing."""
        return seeds if cls.is_seeded else seeds[:1]

    @classmethod
    def sources_combined(cls, settings: Any) -> Sequence[str]:
        """Return the names of the other sources that this one combines."""
        return ()

    def to_state(self) -> State:
        """Return the arrays and numbers from which `from_state` makes the same source."""
        return pack_fields(self)

    @classmethod
    def from_state(cls, state: State) -> "CandidateSource":
        """Make a source of what `to_state` returned."""
        return cls(**unpack_fields(cls, state))
