"""One user in, their list or their results re-ranked out, in this process."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from profile_lib.errors import InputError
from profile_lib.model.about import check_model
from profile_lib.model.checkpoint import load_model
from profile_lib.recommend.asking import CONTEXTS, SCHEMA
from profile_lib.recommend.learned import Learned
from profile_lib.recommend.listing import LEARNED, Listing
from profile_lib.recommend.recommender import Offers, Rules
from profile_lib.recommend.search import rerank_results

NOBODY: Mapping[str, Any] = {"user_id": "", "user_bucket": 0, "recent": [], "interest_vector": []}
WHO = [pa.field("user_id", pa.string()), pa.field("user_bucket", pa.int32())]


class Server:
    """A recommender that serves one user at a time, on one thread.

    A profile is a row of `user_profiles` as a mapping; of one who has none, None, the list is what
    is in demand.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing

    @classmethod
    def load(
        cls, folder: str, worth: Mapping[str, float], rules: Rules, offers: Offers | None = None
    ) -> "Server":
        """The recommender in a folder; without `offers` every item may be listed.

        Raises InputError where a file of it is missing or was changed.
        """
        check_model(folder)
        known, model = Learned.load(Path(folder) / LEARNED), load_model(folder)[0]
        offered = offers or Offers.all(len(known.catalogue))
        return cls(Listing.of(known, model, worth, rules, offered))

    def recommend(self, profile: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """The list, best first: item_id, score, sources, reasons and what else LISTED tells."""
        return self.listing.rows(as_batch(profile)).to_pylist()

    def rerank(
        self,
        profile: Mapping[str, Any] | None,
        query: str,
        item_ids: Sequence[str],
        how_far: float,
    ) -> list[str]:
        """The results of a query, best first, in the order that suits the user: `rerank_results`.

        Raises InputError where `how_far` is not from 0 to 1.
        """
        if not 0 <= how_far <= 1:
            raise InputError(f"how_far: {how_far}; wanted 0 (as they are) to 1 (as the user likes)")
        reader = self.listing.known.reader
        results = pa.array(item_ids, pa.string())
        order = rerank_results(
            self.listing,
            reader.asked(as_batch(profile)),
            pa.array([query]),
            np.zeros(len(results), np.int64),
            reader.numbers_of(results),
            how_far,
        )
        return results.take(pa.array(order)).to_pylist()


def as_batch(*profiles: Mapping[str, Any] | None) -> pa.RecordBatch:
    """Rows of `user_profiles` as mappings in a batch with the columns PROFILE; None is nobody."""
    nobody = {**NOBODY, "as_of_ts": datetime.now(UTC)}
    rows = [dict(nobody if profile is None else profile) for profile in profiles]
    for row in rows:
        for name in CONTEXTS.values():
            row[name] = list((row.get(name) or {}).items())
    return pa.RecordBatch.from_pylist(rows, pa.schema([*WHO, *SCHEMA]))
