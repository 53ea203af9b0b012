"""Profiles in, rows of `recommendations` out: lists with who named each item and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import Longs, slice_batches, to_list_array
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.data.artifacts import RetrievalModel, load_cached_retrieval
from profile_lib.recommend.ranking.scorer import RankerScorer
from profile_lib.recommend.serving.recommender import (
    Eligibility,
    ListRules,
    RecommendedLists,
    Recommender,
)
from profile_lib.recommend.serving.requests import REQUEST_COLUMNS
from profile_lib.spark.workers import freeze_loaded_modules, task_threads

RETRIEVAL_FOLDER = "retrieval"  # the folder in a recommender's beside its ranker
LISTING_COLUMNS = ("user_id", "user_bucket", *REQUEST_COLUMNS)
LIST_SCHEMA = (
    "user_id string, user_bucket int, rank int, item_id string, score double, "
    "sources array<string>, reasons array<struct<source:string,item_id:string,text:string>>, "
    "as_of_ts timestamp"
)
MAX_USERS_PER_BATCH = 256  # users


@dataclass(frozen=True)
class ListBuilder:
    """What makes lists of profiles: all that is known of a shop, and how candidates are ranked."""

    retrieval: RetrievalModel
    recommender: Recommender

    @classmethod
    def from_model(
        cls, known: RetrievalModel, model: ProfileModel, task_weights: Mapping[str, float], rules: ListRules,
        eligibility: Eligibility,
    ) -> "ListBuilder":  # fmt: skip
        """RankerScorer by a model, whose tasks are `task_weights` so much."""
        score = RankerScorer(model, known, task_weights)
        return cls(known, Recommender(known.sources, known.catalog, score, rules, eligibility))

    def build_lists(self, profiles: pa.RecordBatch) -> pa.RecordBatch:
        """LIST_SCHEMA of a batch with the columns LISTING_COLUMNS."""
        requests = self.retrieval.reader.read_requests(profiles)
        return self.to_rows(profiles, requests, self.recommender.recommend(requests))

    def to_rows(
        self, profiles: pa.RecordBatch, requests: Requests, lists: RecommendedLists
    ) -> pa.RecordBatch:
        """The rows of lists, of users in the order of `profiles`."""
        user, names = pa.array(lists.user), pa.array(lists.sources)
        ids, titles = (self.retrieval.catalog.column(name) for name in ("item_id", "title"))
        source = names.take(pa.array(lists.reason_source))
        because = pa.array(lists.reason_item, mask=lists.reason_item == MISSING)
        named = titles.take(because)
        shown = pc.coalesce(named, ids.take(because))
        place = self._places(requests).take(user)
        reasons = pa.StructArray.from_arrays(
            [
                source,
                ids.take(because),
                self.retrieval.reason_texts.fill_sentences(source, shown, place),
            ],
            ["source", "item_id", "text"],
        )
        _, by = np.nonzero(lists.is_proposed)
        one = np.ones(len(lists.user), np.int64)
        columns = [
            profiles["user_id"].take(user),
            profiles["user_bucket"].take(user),
            pa.array(lists.rank.astype(np.int32)),
            ids.take(pa.array(lists.item)),
            pa.array(lists.score.astype(np.float64)),
            to_list_array(lists.is_proposed.sum(axis=1), names.take(pa.array(by))),
            to_list_array(one, reasons),
            profiles["as_of_ts"].take(user),
        ]
        return pa.RecordBatch.from_arrays(columns, LIST_COLUMNS)

    def _places(self, requests: Requests) -> pa.Array:
        """(n,): the value of the first context that is known of a user, null of none."""
        places = pa.nulls(len(requests.contexts), pa.string())
        for at, values in enumerate(self.retrieval.reader.contexts.values()):
            value: Longs = requests.contexts[:, at]
            found = pa.array(values, pa.string()).take(pa.array(value, mask=value == MISSING))
            places = pc.coalesce(places, found)
        return places


LIST_COLUMNS = [column.split()[0] for column in LIST_SCHEMA.split(", ")]


def list_items(
    profiles: DataFrame,
    folder: str,
    version: str,
    task_weights: Mapping[str, float],
    rules: ListRules,
    eligibility: Eligibility,
) -> DataFrame:
    """LIST_SCHEMA of profiles, by the recommender in `folder`, of this `version`, that the caller has
    found as it was saved."""
    told = profiles.sparkSession.sparkContext.broadcast(eligibility)
    tasks = dict(task_weights)

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        freeze_loaded_modules()
        torch.set_num_threads(task_threads())
        known, model = (
            load_cached_retrieval(f"{folder}/{RETRIEVAL_FOLDER}", version),
            _ranker(folder, version),
        )
        listing = ListBuilder.from_model(known, model, tasks, rules, told.value)
        for part in slice_batches(batches, MAX_USERS_PER_BATCH):
            yield listing.build_lists(part)

    return profiles.select(*LISTING_COLUMNS).mapInArrow(rows, LIST_SCHEMA)


@lru_cache(maxsize=2)
def _ranker(folder: str, version: str) -> ProfileModel:
    return load_model(folder, with_encoder=False)[0]
