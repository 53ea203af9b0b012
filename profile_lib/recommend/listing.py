"""Profiles in, rows of `recommendations` out: lists with who named each item and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pyspark.sql import DataFrame

from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.asking import READ
from profile_lib.recommend.learned import Learned, learned
from profile_lib.recommend.recommender import Lists, Offers, Recommender, Rules
from profile_lib.recommend.scoring import Ranked
from profile_lib.recommend.sources import NOTHING, Asked
from profile_lib.segments import Longs, as_lists, in_parts
from profile_lib.workers import settle, task_threads

LEARNED = "learned"  # the folder in a recommender's beside its ranker
PROFILE = ("user_id", "user_bucket", *READ)
LISTED = (
    "user_id string, user_bucket int, rank int, item_id string, score double, "
    "sources array<string>, reasons array<struct<source:string,item_id:string,text:string>>, "
    "as_of_ts timestamp"
)
AT_ONCE = 256  # users


@dataclass(frozen=True)
class Listing:
    """What makes lists of profiles: all that is known of a shop, and how candidates are ranked."""

    known: Learned
    recommender: Recommender

    @classmethod
    def of(
        cls, known: Learned, model: ProfileModel, worth: Mapping[str, float], rules: Rules,
        offers: Offers,
    ) -> "Listing":  # fmt: skip
        """Ranked by a model, whose tasks are `worth` so much."""
        score = Ranked(model, known, worth)
        return cls(known, Recommender(known.sources, known.catalogue, score, rules, offers))

    def rows(self, profiles: pa.RecordBatch) -> pa.RecordBatch:
        """LISTED of a batch with the columns PROFILE."""
        asked = self.known.reader.asked(profiles)
        return self.told(profiles, asked, self.recommender.recommend(asked))

    def told(self, profiles: pa.RecordBatch, asked: Asked, lists: Lists) -> pa.RecordBatch:
        """The rows of lists, of users in the order of `profiles`."""
        user, names = pa.array(lists.user), pa.array(lists.sources)
        ids, titles = (self.known.catalogue.column(name) for name in ("item_id", "title"))
        source = names.take(pa.array(lists.source))
        because = pa.array(lists.because, mask=lists.because == NOTHING)
        named = titles.take(because)
        shown = pc.coalesce(named, ids.take(because))
        place = self._places(asked).take(user)
        reasons = pa.StructArray.from_arrays(
            [source, ids.take(because), self.known.words.sentences(source, shown, place)],
            ["source", "item_id", "text"],
        )
        _, by = np.nonzero(lists.is_named)
        one = np.ones(len(lists.user), np.int64)
        columns = [
            profiles["user_id"].take(user),
            profiles["user_bucket"].take(user),
            pa.array(lists.rank.astype(np.int32)),
            ids.take(pa.array(lists.item)),
            pa.array(lists.score.astype(np.float64)),
            as_lists(lists.is_named.sum(axis=1), names.take(pa.array(by))),
            as_lists(one, reasons),
            profiles["as_of_ts"].take(user),
        ]
        return pa.RecordBatch.from_arrays(columns, NAMES)

    def _places(self, asked: Asked) -> pa.Array:
        """(n,): the value of the first context that is known of a user, null of none."""
        places = pa.nulls(len(asked.contexts), pa.string())
        for at, values in enumerate(self.known.reader.contexts.values()):
            value: Longs = asked.contexts[:, at]
            found = pa.array(values, pa.string()).take(pa.array(value, mask=value == NOTHING))
            places = pc.coalesce(places, found)
        return places


NAMES = [column.split()[0] for column in LISTED.split(", ")]


def list_items(
    profiles: DataFrame,
    folder: str,
    version: str,
    worth: Mapping[str, float],
    rules: Rules,
    offers: Offers,
) -> DataFrame:
    """LISTED of profiles, by the recommender in `folder`, of this `version`, that the caller has
    found as it was saved."""
    told = profiles.sparkSession.sparkContext.broadcast(offers)
    tasks = dict(worth)

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        settle()
        torch.set_num_threads(task_threads())
        known, model = learned(f"{folder}/{LEARNED}", version), _ranker(folder, version)
        listing = Listing.of(known, model, tasks, rules, told.value)
        for part in in_parts(batches, AT_ONCE):
            yield listing.rows(part)

    return profiles.select(*PROFILE).mapInArrow(rows, LISTED)


@lru_cache(maxsize=2)
def _ranker(folder: str, version: str) -> ProfileModel:
    return load_model(folder, with_encoder=False)[0]
