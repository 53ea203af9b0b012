"""One user in, their list or their results re-ranked out, in this process."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.manifest import check_model
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility, ListRules
from profile_lib.recommend.serving.requests import CONTEXT_COLUMNS, REQUEST_SCHEMA
from profile_lib.recommend.serving.search import rerank_results

EMPTY_PROFILE: Mapping[str, Any] = {
    "user_id": "",
    "user_bucket": 0,
    "recent": [],
    "interest_vector": [],
}
USER_FIELDS = [pa.field("user_id", pa.string()), pa.field("user_bucket", pa.int32())]


class RecommendationServer:
    """A recommender that serves one user at a time, on one thread.

    A profile is a row of `user_profiles` as a mapping; of one who has none, None, the list is what
    is in demand.
    """

    def __init__(self, listing: ListBuilder) -> None:
        self.listing = listing

    @classmethod
    def load(
        cls,
        folder: str,
        task_weights: Mapping[str, float],
        rules: ListRules,
        eligibility: Eligibility | None = None,
    ) -> "RecommendationServer":
        """The recommender in a folder; without `eligibility` every item may be listed.

        Raises InputError where a file of it is missing or was changed.
        """
        check_model(folder)
        known, model = RetrievalModel.load(Path(folder) / RETRIEVAL_FOLDER), load_model(folder)[0]
        offered = eligibility or Eligibility.all_eligible(len(known.catalog))
        return cls(ListBuilder.from_model(known, model, task_weights, rules, offered))

    def recommend(self, profile: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """The list, best first: item_id, score, sources, reasons and what else LIST_SCHEMA tells."""
        return self.listing.build_lists(profiles_to_batch(profile)).to_pylist()

    def rerank(
        self,
        profile: Mapping[str, Any] | None,
        query: str,
        item_ids: Sequence[str],
        personalisation: float,
    ) -> list[str]:
        """The results of a query, best first, in the order that suits the user: `rerank_results`.

        Raises InputError where `personalisation` is not from 0 to 1.
        """
        if not 0 <= personalisation <= 1:
            raise InputError(
                f"personalisation: {personalisation}; wanted 0 (as they are) to 1 (as the user likes)"
            )
        reader = self.listing.retrieval.reader
        results = pa.array(item_ids, pa.string())
        order = rerank_results(
            self.listing,
            reader.read_requests(profiles_to_batch(profile)),
            pa.array([query]),
            np.zeros(len(results), np.int64),
            reader.look_up_items(results),
            personalisation,
        )
        return results.take(pa.array(order)).to_pylist()


def profiles_to_batch(*profiles: Mapping[str, Any] | None) -> pa.RecordBatch:
    """Rows of `user_profiles` as mappings in a batch with the columns LISTING_COLUMNS; None is nobody."""
    nobody = {**EMPTY_PROFILE, "as_of_ts": datetime.now(UTC)}
    rows = [dict(nobody if profile is None else profile) for profile in profiles]
    for row in rows:
        for name in CONTEXT_COLUMNS.values():
            row[name] = list((row.get(name) or {}).items())
    return pa.RecordBatch.from_pylist(rows, pa.schema([*USER_FIELDS, *REQUEST_SCHEMA]))
