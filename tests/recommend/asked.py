"""Users who are to be shown items, written in line."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from scipy import sparse

from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.candidates.top_k import top_k
from profile_lib.recommend.data.histories import Histories
from profile_lib.recommend.serving.requests import PROFILE_NUMBERS, REQUEST_SCHEMA
from profile_lib.recommend.serving.server import USER_FIELDS

DAY = 86400


class FixedSource:
    """A source that says what it is told to, (n, n_items), and nothing of what is 0."""

    def __init__(self, table: np.ndarray | list, because: int = MISSING) -> None:
        self.table, self.reason = np.array(table, np.float32), because

    def scores(self, asked: Requests, k: int) -> sparse.csr_array:
        return top_k(sparse.csr_array(self.table), self.table.shape[1])

    def explain(self, asked: Requests, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return np.full(len(user), self.reason)


def make_requests(
    *items: Sequence[int],
    weights: Sequence[Sequence[float]] | None = None,
    days_ago: Sequence[Sequence[float]] | None = None,
    bought: Sequence[Sequence[int]] | None = None,
    interest_vectors: np.ndarray | None = None,
    profile_numbers: np.ndarray | None = None,
    query_vectors: np.ndarray | None = None,
    contexts: Sequence[Sequence[int]] | None = None,
) -> Requests:
    """A user a list of items, oldest first, each step of weight 1 unless told otherwise."""

    def flat(lists: Sequence[Sequence[float]] | None, otherwise: float) -> np.ndarray:
        given = lists or [[otherwise] * len(of) for of in items]
        return np.array([value for of in given for value in of])

    n, now = len(items), 1000 * DAY
    steps = Histories(
        n_users=n,
        user=np.repeat(np.arange(n), [len(of) for of in items]),
        items=flat(items, 0).astype(np.int64),
        weights=flat(weights, 1.0).astype(np.float32),
        seconds=(now - DAY * flat(days_ago, 0.0)).astype(np.int64),
        is_bought=flat(bought, 0).astype(bool),
    )

    def rows(given: np.ndarray | None, size: int) -> np.ndarray:
        return np.full((n, size), np.nan) if given is None else np.asarray(given, np.float32)

    return Requests(
        steps,
        rows(interest_vectors, 2),
        rows(profile_numbers, len(PROFILE_NUMBERS)),
        rows(query_vectors, 2),
        np.array(contexts or [[-1]] * n, np.int64),
        np.full(n, now),
    )


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def recent_event(second: int, kind: str, item: str | None = None, text: str | None = None) -> dict:
    """One of a profile's recent events."""
    return {"event_ts": at(second), "event_type": kind, "item_id": item, "text": text}


def profiles(*rows: dict) -> pa.RecordBatch:
    """What a recommender reads of profiles, of which each row tells what is not as usual."""
    usual = {
        "user_id": "ann", "user_bucket": 0,
        "recent": [], "interest_vector": [0.5, 1.0], "model_version": "m-1",
        "channels": [], "devices": [], "regions": [], "as_of_ts": at(10),
    }  # fmt: skip
    return pa.RecordBatch.from_pylist(
        [usual | row for row in rows], pa.schema([*USER_FIELDS, *REQUEST_SCHEMA])
    )
