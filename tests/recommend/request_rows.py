"""Write requests, profiles and proposals in line."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.candidates.source import CandidateSource, SourceData
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.histories import Histories
from profile_lib.recommend.data.profile_columns import PROFILE_NUMBERS, REQUEST_SCHEMA
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.serving.server import USER_FIELDS

DAY = 86400


class FixedSource(CandidateSource):
    """A source with given scores, (n, n_items), and one explanation.

    A score of 0 is no candidate.
    """

    def __init__(self, scores: np.ndarray | list, explanation: int = MISSING) -> None:
        self.table, self.explanation = np.array(scores, np.float32), explanation

    @classmethod
    def fit(cls, data: SourceData, settings: Any) -> "FixedSource":
        raise NotImplementedError

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        return top_k(sparse.csr_array(self.table), self.table.shape[1])

    def explain(self, requests: Requests, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return np.full(len(user), self.explanation)


def make_requests(
    *items: Sequence[int],
    weights: Sequence[Sequence[float]] | None = None,
    days_ago: Sequence[Sequence[float]] | None = None,
    bought: Sequence[Sequence[int]] | None = None,
    interest_vectors: np.ndarray | list | None = None,
    profile_numbers: np.ndarray | list | None = None,
    query_vectors: np.ndarray | list | None = None,
    contexts: Sequence[Sequence[int]] | None = None,
) -> Requests:
    """Make a request per list of items, oldest first.

    Steps have weight 1 unless given.
    """

    def flatten(lists: Sequence[Sequence[float]] | None, default: float) -> np.ndarray:
        values = lists or [[default] * len(user_items) for user_items in items]
        return np.array([value for user_values in values for value in user_values])

    def matrix(values: np.ndarray | list | None, size: int) -> np.ndarray:
        return np.full((n, size), np.nan) if values is None else np.asarray(values, np.float32)

    n, now = len(items), 1000 * DAY
    steps = Histories(
        n_users=n,
        user=np.repeat(np.arange(n), [len(user_items) for user_items in items]),
        items=flatten(items, 0).astype(np.int64),
        weights=flatten(weights, 1.0).astype(np.float32),
        seconds=(now - DAY * flatten(days_ago, 0.0)).astype(np.int64),
        is_bought=flatten(bought, 0).astype(bool),
    )
    return Requests(
        steps,
        matrix(interest_vectors, 2),
        matrix(profile_numbers, len(PROFILE_NUMBERS)),
        matrix(query_vectors, 2),
        np.array(contexts, np.int64) if contexts else np.full((n, 1), MISSING),
        np.full(n, now),
    )


def moment(second: int) -> datetime:
    """Return a time so many seconds after 1970."""
    return datetime.fromtimestamp(second, UTC)


def recent_event(
    second: int, event_type: str, item: str | None = None, text: str | None = None
) -> dict:
    """Make one of a profile's recent events."""
    return {"event_ts": moment(second), "event_type": event_type, "item_id": item, "text": text}


def profile_batch(*rows: dict) -> pa.RecordBatch:
    """Make profiles from the columns that differ from a default."""
    default = {
        "user_id": "ann", "user_bucket": 0,
        "recent": [], "interest_vector": [0.5, 1.0], "model_version": "m-1",
        "channels": [], "devices": [], "regions": [], "as_of_ts": moment(10),
    }  # fmt: skip
    return pa.RecordBatch.from_pylist(
        [default | row for row in rows], pa.schema([*USER_FIELDS, *REQUEST_SCHEMA])
    )
