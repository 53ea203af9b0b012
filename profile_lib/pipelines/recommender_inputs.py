"""Read a shop's items, texts and events, and fit retrieval models to them."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import rows_to_list_array, single_chunk
from profile_lib.arrays.types import Floats
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.as_of import select_known_events
from profile_lib.inference.text_vectors import add_text_vectors
from profile_lib.pipelines.person_data import read_last_person_events
from profile_lib.pipelines.recommender_sources import choose_reasons, read_recommend_sources
from profile_lib.pipelines.serving_model import ServedModel
from profile_lib.recommend.candidates.demand import compute_demand
from profile_lib.recommend.candidates.shared.interest_map import fit_interest_map
from profile_lib.recommend.candidates.shared.text_projection import TextProjection
from profile_lib.recommend.candidates.source import SourceData
from profile_lib.recommend.data.arrow_columns import find_positions, lists_to_matrix
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.histories import build_histories, number_items
from profile_lib.recommend.data.profile_reader import ProfileReader, QueryTexts
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.reasons import ReasonTexts
from profile_lib.spark.session import cached
from profile_lib.spark.timestamps import latest_arrival, local_time
from profile_lib.tables import EVENTS, ITEMS

CATALOG_COLUMNS = ("item_id", "title", "category", "brand", "price", "price_level")


class ShopData:
    """The items of a shop, their text vectors, and people's last events.

    Vectors are by the encoder of `model`, projected to `recommend.text_size` numbers: `vectors`,
    (n_items, d), NaN for items without a text. Raises InputError if there is no item, none has a
    text, or the model reads no text.
    """

    def __init__(self, store: Store, settings: Settings, model: ServedModel) -> None:
        self.settings, self.config, self.model = settings, settings.recommend, model
        self.events = read_last_person_events(store, settings)
        self.versions = {table.name: store.version(table) for table in (EVENTS, ITEMS)}
        self.items = store.read(ITEMS, self.versions[ITEMS.name])
        self.item_numbers = number_items(self.items)
        self.item_ids = self.item_numbers.toArrow()["item_id"].combine_chunks()
        if not len(self.item_ids):
            raise InputError(
                f"{store.path(ITEMS)}: no items, so there is nothing to recommend; ingest a "
                "catalog, or events that name items"
            )
        vectors = self._encode_items()
        self.text_projection = TextProjection.fit(vectors, self.config.text_size)
        self.vectors = self.text_projection.project(vectors)
        self.query_texts = self._encode_query_texts(vectors.shape[1])

    @property
    def now(self) -> datetime:
        """The moment just after the last arrival."""
        return latest_arrival(self.events) + timedelta(seconds=1)

    def fit_retrieval(self, as_of: datetime, ranker_examples: DataFrame) -> RetrievalModel:
        """Fit all sources to the events that were known before `as_of`.

        The interest map is fitted to the interest vectors of `ranker_examples`, and the items that
        were `relevant` after each. Raises InputError if a source cannot be fitted.
        """
        config, specs = self.config, read_recommend_sources(self.config)
        local = local_time(F.col("event_ts"), self.settings.behaviour.time_zone)
        known = select_known_events(self.events, as_of)
        events = known.withColumn("local_date", F.to_date(local))
        steps = build_histories(events, self.item_numbers, config.weights, config.max_steps)
        interest_map = self._fit_interest_map(ranker_examples)
        contexts: dict[str, list[str]] = {
            name: self._most_frequent_values(events, name) for name in config.contexts
        }
        now = int(as_of.timestamp())
        with cached(steps) as steps:
            data = SourceData(
                histories=steps,
                vectors=np.nan_to_num(self.vectors),
                approximate_search_from=config.approximate_search_from,
                seed=config.seed,
                events=events,
                items=self.item_numbers,
                interest_map=interest_map,
                contexts=contexts,
                weights=config.weights,
                now=now,
            )
            sources = {name: spec.fit(data) for name, spec in specs.items()}
        manifest = self.model.manifest
        reader = ProfileReader(
            self.item_ids,
            config.weights,
            contexts,
            manifest.model_version,
            manifest.spec.joined_size,
            self.query_texts,
        )
        fallbacks = config.reason_fallbacks
        reasons = ReasonTexts(
            choose_reasons(specs, config.reasons), fallbacks.item, fallbacks.place
        )
        catalog = self._build_catalog(events, now)
        return RetrievalModel(catalog, sources, reasons, reader, interest_map, config.decay)

    def _fit_interest_map(self, ranker_examples: DataFrame) -> Floats:
        pairs = ranker_examples.where(F.size("interest_vector") > 0).select(
            F.col("interest_vector").alias("vector"), F.get("relevant", F.lit(0)).alias("item")
        )
        return fit_interest_map(
            pairs.join(F.broadcast(self._text_targets()), "item"),
            self.model.manifest.spec.joined_size,
            self.config.text_size,
            self.config.interest_ridge,
        )

    def _text_targets(self) -> DataFrame:
        """Return (item, target), the vector of each item that has a text."""
        item = np.flatnonzero(np.isfinite(self.vectors).all(axis=1)).astype(np.int32)
        rows = pa.table({"item": pa.array(item), "target": rows_to_list_array(self.vectors[item])})
        return self.item_numbers.sparkSession.createDataFrame(rows)

    def _build_catalog(self, events: DataFrame, now: int) -> Catalog:
        half_life = self.settings.behaviour.half_life_days
        per_item = compute_demand(
            events, self.item_numbers, [], self.config.weights, now, half_life, half_life
        ).toArrow()
        demand = np.zeros(len(self.item_ids))
        demand[per_item["item"].to_numpy()] = per_item["demand"].to_numpy()
        items = self.items.select(*CATALOG_COLUMNS).toArrow()
        position = find_positions(self.item_ids, single_chunk(items["item_id"]))
        items = items.take(pa.array(position))
        columns = {name: single_chunk(items[name]) for name in CATALOG_COLUMNS}
        learned = {"demand": demand, "vector": rows_to_list_array(self.vectors)}
        return Catalog(pa.table(columns | learned))

    def _most_frequent_values(self, events: DataFrame, context: str) -> list[str]:
        counts = events.where(F.col(context).isNotNull()).groupBy(context).count()
        ordered = counts.orderBy(F.desc("count"), context).limit(self.config.max_context_values)
        return [row[0] for row in ordered.collect()]

    def _encode_items(self) -> Floats:
        """Return the encoder's vectors, (n_items, H), NaN for an item without a text."""
        spec = self.model.manifest.spec
        size = spec.bert["hidden_size"] if spec.bert else 0
        texts = self._encode(_item_texts(self.items))
        position = find_positions(single_chunk(texts["id"]), self.item_ids)
        vectors = np.full((len(self.item_ids), size), np.nan, np.float32)
        vectors[position] = lists_to_matrix(single_chunk(texts["vector"]), size)
        return vectors

    def _encode_query_texts(self, size: int) -> QueryTexts:
        texts = self._encode(self._frequent_query_texts())
        vectors = lists_to_matrix(single_chunk(texts["vector"]), size)
        return QueryTexts(
            single_chunk(texts["id"]),
            self.text_projection.project(vectors),
            self.config.query_event_types,
            self.settings.sessions.gap.total_seconds(),
        )

    def _frequent_query_texts(self) -> DataFrame:
        """Return (id, text) of the most frequent searches and pages."""
        queries = self.events.where(F.col("event_type").isin(*self.config.query_event_types))
        texts = queries.select(F.coalesce("query", "text").alias("text")).where("text IS NOT NULL")
        counts = texts.groupBy("text").count().orderBy(F.desc("count"), "text")
        return counts.limit(self.config.max_query_texts).select(F.col("text").alias("id"), "text")

    def _encode(self, texts: DataFrame) -> pa.Table:
        """Return (id, vector) for the texts (id, text), in any order."""
        manifest, refresh = self.model.manifest, self.settings.refresh
        tokens = texts.withColumn("tokens", self.model.tokenize("text")).select("*", "tokens.*")
        return (
            add_text_vectors(
                tokens,
                self.model.folder,
                model_version=manifest.model_version,
                runtime=refresh.runtime,
                batch_tokens=refresh.batch_tokens,
            )
            .select("id", "vector")
            .toArrow()
        )


def _item_texts(items: DataFrame) -> DataFrame:
    """Return (id, text) of each item that has a title, category or brand."""
    title = F.coalesce("title", F.lit(""))
    others = [F.when(F.col(name) != title, F.col(name)) for name in ("category", "brand")]
    text = F.concat_ws(" ", "title", *others)
    return items.select(F.col("item_id").alias("id"), text.alias("text")).where("text != ''")
