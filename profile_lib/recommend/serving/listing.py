"""Build rows of `recommendations` from profiles: ranked items with sources and reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import to_list_array
from profile_lib.arrays.types import Longs
from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.data.arrow_columns import MISSING, record_batch
from profile_lib.recommend.data.profile_columns import REQUEST_COLUMNS
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.ranking.scorer import RankerScorer
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.retrieval_tasks import BatchFunction, map_requests
from profile_lib.recommend.serving.recommender import (
    Eligibility,
    ListRules,
    RecommendedLists,
    Recommender,
)
from profile_lib.spark.workers import freeze_loaded_modules, task_threads

RETRIEVAL_FOLDER = "retrieval"  # the retrieval model's folder within a recommender's
LISTING_COLUMNS = ("user_id", "user_bucket", *REQUEST_COLUMNS)
LIST_SCHEMA = (
    "user_id string, user_bucket int, rank int, item_id string, score double, "
    "sources array<string>, reasons array<struct<source:string,item_id:string,text:string>>, "
    "as_of_ts timestamp"
)
MAX_USERS_PER_BATCH = 256


@dataclass(frozen=True)
class ListBuilder:
    """A builder of lists from profiles, with sources and reasons."""

    retrieval: RetrievalModel
    recommender: Recommender

    @classmethod
    def from_model(
        cls,
        retrieval: RetrievalModel,
        model: ProfileModel,
        task_weights: Mapping[str, float],
        rules: ListRules,
        eligibility: Eligibility,
    ) -> "ListBuilder":
        """Build a list builder whose ranker is `model`, its tasks weighted by `task_weights`.

        Raises InputError unless the ranker reads the numbers that the retrieval model computes.
        """
        if list(model.spec.numeric) != retrieval.feature_names:
            differing = set(model.spec.numeric) ^ set(retrieval.feature_names)
            raise InputError(
                "recommender: its ranker reads other numbers than are computed now: "
                f"{', '.join(sorted(differing)) or 'in another order'}; run fit_recommender again"
            )
        score = RankerScorer(model, retrieval, task_weights)
        recommender = Recommender(retrieval.sources, retrieval.catalog, score, rules, eligibility)
        return cls(retrieval, recommender)

    def build_lists(self, profiles: pa.RecordBatch) -> pa.RecordBatch:
        """Return the lists of `profiles`, a batch with LISTING_COLUMNS, as LIST_SCHEMA rows."""
        requests = self.retrieval.reader.read_requests(profiles)
        return self.to_rows(profiles, requests, self.recommender.recommend(requests))

    def to_rows(
        self, profiles: pa.RecordBatch, requests: Requests, lists: RecommendedLists
    ) -> pa.RecordBatch:
        """Return the lists of the users of `profiles` as LIST_SCHEMA rows, in their order."""
        user, names = pa.array(lists.user), pa.array(lists.sources)
        item_ids = self.retrieval.catalog.column("item_id")
        _, proposer = np.nonzero(lists.is_proposed)
        columns = [
            profiles["user_id"].take(user),
            profiles["user_bucket"].take(user),
            lists.rank.astype(np.int32),
            item_ids.take(pa.array(lists.item)),
            lists.score.astype(np.float64),
            to_list_array(lists.is_proposed.sum(axis=1), names.take(pa.array(proposer))),
            to_list_array(np.ones(len(lists.user), np.int64), self._reasons(requests, lists)),
            profiles["as_of_ts"].take(user),
        ]
        return record_batch(LIST_SCHEMA, columns)

    def _reasons(self, requests: Requests, lists: RecommendedLists) -> pa.StructArray:
        """Return source, item of the history and sentence of each listed item, (m,)."""
        ids, titles = (self.retrieval.catalog.column(name) for name in ("item_id", "title"))
        source = pa.array(lists.sources).take(pa.array(lists.reason_source))
        reason_item = pa.array(lists.reason_item, mask=lists.reason_item == MISSING)
        reason_ids = ids.take(reason_item)
        reason_titles = pc.coalesce(titles.take(reason_item), reason_ids)
        place = self._places(requests).take(pa.array(lists.user))
        sentences = self.retrieval.reason_texts.fill_sentences(source, reason_titles, place)
        return pa.StructArray.from_arrays(
            [source, reason_ids, sentences], ["source", "item_id", "text"]
        )

    def _places(self, requests: Requests) -> pa.Array:
        """Return the value of each user's first known context, (n,), or null."""
        places = pa.nulls(len(requests.contexts), pa.string())
        for column, values in enumerate(self.retrieval.reader.contexts.values()):
            value: Longs = requests.contexts[:, column]
            in_context = pa.array(values, pa.string()).take(pa.array(value, mask=value == MISSING))
            places = pc.coalesce(places, in_context)
        return places


def list_items(
    profiles: DataFrame,
    folder: str,
    version: str,
    task_weights: Mapping[str, float],
    rules: ListRules,
    eligibility: Eligibility,
) -> DataFrame:
    """List items for `profiles`, LISTING_COLUMNS among their columns: LIST_SCHEMA rows.

    The recommender is that of this `version` in `folder`. The caller has checked that its files are
    unchanged.
    """
    broadcast = profiles.sparkSession.sparkContext.broadcast(eligibility)
    tasks = dict(task_weights)

    def prepare(retrieval: RetrievalModel) -> BatchFunction:
        freeze_loaded_modules()
        torch.set_num_threads(task_threads())
        model = _load_cached_ranker(folder, version)
        return ListBuilder.from_model(retrieval, model, tasks, rules, broadcast.value).build_lists

    return map_requests(
        profiles.select(*LISTING_COLUMNS),
        f"{folder}/{RETRIEVAL_FOLDER}",
        version,
        LIST_SCHEMA,
        prepare,
        max_rows=MAX_USERS_PER_BATCH,
    )


@lru_cache(maxsize=2)
def _load_cached_ranker(folder: str, version: str) -> ProfileModel:
    return load_model(folder, with_encoder=False)[0]
