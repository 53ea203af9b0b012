"""Serve lists and re-ranked search results to one user at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.manifest import check_model
from profile_lib.recommend.data.profile_columns import CONTEXT_COLUMNS, REQUEST_SCHEMA
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility, ListRules
from profile_lib.recommend.serving.search import rerank_results

USER_FIELDS = [pa.field("user_id", pa.string()), pa.field("user_bucket", pa.int32())]


class RecommendationServer:
    """A recommender for one user at a time, on one thread.

    A profile is a row of `user_profiles` as a mapping, or `empty_profile` for a user without one.
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
        """Load the recommender in `folder`; by default all items are eligible.

        Raises InputError if one of its files is missing or was changed.
        """
        check_model(folder)
        retrieval = RetrievalModel.load(Path(folder) / RETRIEVAL_FOLDER)
        model = load_model(folder)[0]
        eligible = eligibility or Eligibility.all_eligible(len(retrieval.catalog))
        return cls(ListBuilder.from_model(retrieval, model, task_weights, rules, eligible))

    def recommend(self, profile: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the user's list as rows of LIST_SCHEMA, best first."""
        return self.listing.build_lists(profiles_to_batch(profile)).to_pylist()

    def rerank(
        self,
        profile: Mapping[str, Any],
        query: str,
        item_ids: Sequence[str],
        personalisation: float,
    ) -> list[str]:
        """Reorder `item_ids`, the search engine's results for `query`, by `rerank_results`.

        They come best first. Raises InputError if `personalisation` is not from 0 to 1.
        """
        if not 0 <= personalisation <= 1:
            raise InputError(
                f"personalisation: found {personalisation}; wanted 0 (the order of the search "
                "engine) to 1 (the order of the ranker)"
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


def empty_profile(now: datetime) -> dict[str, Any]:
    """Return the profile at `now` of a user without any history."""
    return {
        "user_id": "",
        "user_bucket": 0,
        "recent": [],
        "interest_vector": [],
        "as_of_ts": now,
    }


def profiles_to_batch(*profiles: Mapping[str, Any]) -> pa.RecordBatch:
    """Convert rows of `user_profiles` to a batch with the columns LISTING_COLUMNS."""
    rows = [dict(profile) for profile in profiles]
    for row in rows:
        for name in CONTEXT_COLUMNS.values():
            row[name] = list((row.get(name) or {}).items())
    return pa.RecordBatch.from_pylist(rows, pa.schema([*USER_FIELDS, *REQUEST_SCHEMA]))
