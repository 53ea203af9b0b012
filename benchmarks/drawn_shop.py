"""Draw a shop of any size.

Users prefer one category, items follow a Zipf law, and text vectors lie near their category.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.arrays.groups import rows_to_list_array
from profile_lib.arrays.types import Floats
from profile_lib.config.settings import Settings
from profile_lib.pipelines.recommender_sources import choose_reasons, read_recommend_sources
from profile_lib.recommend.candidates.source import CandidateSource, SourceData
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.histories import build_histories, number_items
from profile_lib.recommend.data.profile_columns import PROFILE_NUMBERS
from profile_lib.recommend.data.profile_reader import ProfileReader, QueryTexts
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.reasons import ReasonTexts
from profile_lib.spark.session import cached

CATEGORIES, REGIONS = 100, 20
OWN_CATEGORY_SHARE = 0.7  # of a user's steps in the preferred category
FIRST_SECOND, PERIOD_SECONDS = 1_760_000_000, 60 * 86_400
KINDS = {"view": 0.85, "cart": 0.1, "purchase": 0.05}
NOW = FIRST_SECOND + PERIOD_SECONDS
INTEREST_SIZE = 128  # of an interest vector


@dataclass(frozen=True)
class DrawnShop:
    """A shop of `n_users` users with `steps_per_user` steps each, and `n_items` items."""

    spark: SparkSession
    n_users: int
    n_items: int
    steps_per_user: int

    def hash_uniform(self, name: str) -> F.Column:
        """A pseudo-random number from 0 to 1 for each row of `range`."""
        return F.pmod(F.xxhash64(F.lit(name), "id"), F.lit(1_000_003)) / 1_000_003

    @cached_property
    def events(self) -> DataFrame:
        """(user_id, event_ts, sequence, event_id, local_date, event_type, item_id, region)."""
        user = (F.col("id") / self.steps_per_user).cast("int")
        preferred = F.pmod(F.xxhash64(F.lit("taste"), user), F.lit(CATEGORIES))
        category = F.when(self.hash_uniform("faithful") < OWN_CATEGORY_SHARE, preferred).otherwise(
            (self.hash_uniform("category") * CATEGORIES).cast("int")
        )
        # The k-th most popular item of a category is drawn about as often as 1 / k.
        n_ranks = F.lit(self.n_items / CATEGORIES)
        rank = F.pow(n_ranks, self.hash_uniform("place")).cast("int") - 1
        kind = F.when(self.hash_uniform("kind") < KINDS["view"], "view").when(
            self.hash_uniform("kind") < KINDS["view"] + KINDS["cart"], "cart"
        )
        second = (FIRST_SECOND + self.hash_uniform("second") * PERIOD_SECONDS).cast("long")
        return self.spark.range(self.n_users * self.steps_per_user).select(
            F.concat(F.lit("u"), user).alias("user_id"),
            F.timestamp_seconds(second).alias("event_ts"),
            F.lit(None).cast("long").alias("sequence"),
            F.col("id").cast("string").alias("event_id"),
            F.to_date(F.timestamp_seconds(second)).alias("local_date"),
            kind.otherwise("purchase").alias("event_type"),
            _item_id(rank * CATEGORIES + category).alias("item_id"),
            F.concat(F.lit("r"), F.pmod(F.xxhash64(user), F.lit(REGIONS))).alias("region"),
        )

    @cached_property
    def item_numbers(self) -> DataFrame:
        """(item_id, item)."""
        return number_items(
            self.spark.range(self.n_items).select(_item_id(F.col("id")).alias("item_id"))
        )

    @cached_property
    def vectors(self) -> Floats:
        """Text vectors of length 1, (n_items, 32), near the vector of the item's category."""
        rng = np.random.default_rng(1)
        size = 32
        drawn = rng.normal(size=(CATEGORIES, size))[np.arange(self.n_items) % CATEGORIES]
        drawn += 0.7 * rng.normal(size=(self.n_items, size))
        return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)

    def source_data(self, settings: Settings, steps: DataFrame) -> SourceData:
        """The data that sources are fitted on."""
        recommend = settings.recommend
        rng = np.random.default_rng(2)
        interest_map = rng.normal(size=(INTEREST_SIZE + 1, self.vectors.shape[1])).astype(
            np.float32
        )
        return SourceData(
            histories=steps, vectors=self.vectors, seed=1,
            approximate_search_from=recommend.approximate_search_from,
            events=self.events, items=self.item_numbers, interest_map=interest_map,
            contexts={"region": [f"r{n}" for n in range(REGIONS)]}, weights=recommend.weights,
            now=NOW,
        )  # fmt: skip

    def fit_sources(self, settings: Settings) -> dict[str, CandidateSource]:
        """Fit all sources of the settings."""
        recommend = settings.recommend
        steps = build_histories(
            self.events, self.item_numbers, recommend.weights, recommend.max_steps
        )
        with cached(steps) as steps:
            data = self.source_data(settings, steps)
            specs = read_recommend_sources(recommend)
            return {name: spec.fit(data) for name, spec in specs.items()}

    def fit_retrieval(self, settings: Settings) -> RetrievalModel:
        """Fit everything of a recommender except its ranker."""
        recommend = settings.recommend
        sources, data = self.fit_sources(settings), self.source_data(settings, self.events)
        assert data.interest_map is not None
        ids = self.item_numbers.toArrow()["item_id"].combine_chunks()
        texts = QueryTexts(
            pa.array(["a search"]), self.vectors[:1], recommend.query_event_types, 1800.0
        )
        reader = ProfileReader(ids, recommend.weights, data.contexts, "made", INTEREST_SIZE, texts)
        sentences = choose_reasons(read_recommend_sources(recommend), recommend.reasons)
        reasons = ReasonTexts(sentences, "an item", "the shop")
        return RetrievalModel(
            self._catalog(ids), sources, reasons, reader, data.interest_map, recommend.decay
        )

    def profiles(self, n: int) -> list[dict[str, object]]:
        """The profiles of the first n users, with the columns that a recommender reads."""
        rng = np.random.default_rng(3)
        events = self.events.where(F.substring("user_id", 2, 9).cast("int") < n)
        event = F.struct(
            "event_ts", "event_type", "item_id", F.lit(None).cast("string").alias("text")
        )
        newest = F.slice(F.reverse(F.array_sort(F.collect_list(event))), 1, 25)
        columns = newest.alias("recent"), F.first("region").alias("region")
        rows = events.groupBy("user_id").agg(*columns)
        users = [row.asDict(recursive=True) for row in rows.collect()]
        vectors = rng.normal(size=(len(users), INTEREST_SIZE)).astype(np.float32)
        defaults = dict.fromkeys(PROFILE_NUMBERS, 0.5) | {"user_bucket": 0, "model_version": "made"}
        return [
            defaults
            | row
            | {
                "interest_vector": vector,
                "regions": {row["region"]: 5},
                "as_of_ts": row["recent"][0]["event_ts"],
            }
            for row, vector in zip(users, vectors, strict=True)
        ]

    def _catalog(self, ids: pa.Array) -> Catalog:
        number, n = np.arange(self.n_items), self.n_items
        price = np.random.default_rng(4).lognormal(3, 1, n)
        return Catalog(
            pa.table(
                {
                    "item_id": ids,
                    "title": ids,
                    "category": pa.array((number % CATEGORIES).astype(str)),
                    "brand": pa.array((number % 997).astype(str)),
                    "price": pa.array(price),
                    "price_level": pa.array(np.argsort(np.argsort(price)) / n),
                    "demand": pa.array(1000.0 / (number + 1)),
                    "vector": rows_to_list_array(self.vectors),
                }
            )
        )


def _item_id(number: F.Column) -> F.Column:
    return F.format_string("i%08d", number.cast("long"))
