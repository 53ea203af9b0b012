"""Define the interface of candidate sources, and the data they are fitted to.

A source is fitted to frames on a cluster. The fitted source consists of arrays, so that the same
code scores a batch of users in a Spark task and a single user in a server.
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
    """Data that a source may need in addition to histories."""

    TEXTS = "item texts"
    INTERESTS = "interest vectors"
    EVENTS = "events"
    VALIDATION = "held-out validation items"


@dataclass(frozen=True)
class Validation:
    """Held-out items, by which some sources choose their weights or epochs.

    `requests`: rows of SPLIT_SCHEMA, whose histories end before the relevant items. `k`: the number
    of first items whose NDCG is compared. `folder`: a folder into which a fit may write files.
    `fit_before` and `fit_all` fit another source of the settings, by its name: the first to the
    histories before the held-out items, the second to all histories.
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
    zeros. `approximate_search_from`: the number of items from which the search for near vectors is
    approximate. `seed`: that of all random numbers.

    Some sources need more: `events`, each with its local_date, and `items` (item_id, item);
    `interest_map`, which maps interest vectors to text vectors; `contexts`, the known values of
    each; `weights`, those of the event types; `now`, the second since 1970 that all data is as of;
    and `validation`.
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
        """The number of items."""
        return len(self.vectors)


class CandidateSource(ABC):
    """A method that proposes items to users.

    To add a source, write a subclass and register it by `candidate_source` (see `registry.py`). A
    frozen dataclass of arrays and numbers is saved and loaded without more code.
    """

    kind: ClassVar[str]  # set by the registry: the value of `kind` in the settings
    settings_type: ClassVar[type[Section]]  # set by the registry
    needs: ClassVar[frozenset[Need]] = frozenset()  # data in addition to histories
    is_seeded: ClassVar[bool] = False  # whether the fit depends on the seed
    default_reason: ClassVar[str | None] = None  # a sentence with {item} or {place}, or neither

    @classmethod
    @abstractmethod
    def fit(cls, data: SourceData, settings: Any) -> "CandidateSource":
        """Fit the source to a shop's data, with settings of its `settings_type`."""

    @abstractmethod
    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the scores of at least the k best items of each user, best first.

        The result is (n, n_items). Higher is better; an item that is not stored is no candidate.
        Scores of different sources have different units.
        """

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """Return the item that explains each pair of a user and a candidate, (m,).

        It is from the user's history, or MISSING if no single item explains the candidate.
        """
        return np.full(len(user), MISSING)

    def score_all(self, requests: Requests, n_items: int) -> sparse.csr_array | Floats:
        """Return the scores of all items, (n, n_items), for an evaluation."""
        return self.scores(requests, n_items)

    @property
    def choices(self) -> dict[str, Any]:
        """The values that the fit chose on the validation items, by name, for a report."""
        return {}

    @classmethod
    def seeds_to_compare(cls, settings: Any, seeds: Sequence[int]) -> Sequence[int]:
        """Return the seeds to compare: the first alone if none affects the fit."""
        return seeds if cls.is_seeded else seeds[:1]

    @classmethod
    def sources_combined(cls, settings: Any) -> Sequence[str]:
        """Return the names of the other sources that this one combines."""
        return ()

    def to_state(self) -> State:
        """Return the arrays and numbers from which `from_state` builds the same source."""
        return pack_fields(self)

    @classmethod
    def from_state(cls, state: State) -> "CandidateSource":
        """Build a source from the result of `to_state`."""
        return cls(**unpack_fields(cls, state))
