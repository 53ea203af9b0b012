"""events, items and the model that serves → what recommenders learn of a shop, as of any moment."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import Floats, rows_to_list_array, single_chunk
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.inference.text_vectors import add_text_vectors
from profile_lib.pipelines.serving_model import ServedModel
from profile_lib.recommend.candidates.fitting import SourceData, fit_source
from profile_lib.recommend.candidates.interest_mapping import fit_interest_map
from profile_lib.recommend.candidates.popular_by_context import compute_demand
from profile_lib.recommend.candidates.text_neighbours import TextProjection
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.histories import build_histories, number_items
from profile_lib.recommend.serving.reasons import ReasonTexts
from profile_lib.recommend.serving.requests import (
    ProfileReader,
    QueryTexts,
    find_positions,
    lists_to_matrix,
)
from profile_lib.spark.moments import latest_event_time
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, ITEMS

CATALOG_COLUMNS = ("item_id", "title", "category", "brand", "price", "price_level")


class ShopData:
    """Items by their numbers with the vectors of their texts, and of each moment what was known.

    Raises InputError where there is no item, none has a text, or the model reads no text.
    """

    def __init__(self, store: Store, settings: Settings, model: ServedModel) -> None:
        self.settings, self.given, self.model = settings, settings.recommend, model
        self.versions = {table.name: store.version(table) for table in (EVENTS, ITEMS)}
        self.events = store.read(EVENTS, self.versions[EVENTS.name])
        self.items = store.read(ITEMS, self.versions[ITEMS.name])
        self.item_numbers = number_items(self.items)
        self.item_ids = self.item_numbers.toArrow()["item_id"].combine_chunks()
        if not len(self.item_ids):
            raise InputError(
                f"{store.path(ITEMS)}: no items, so there is nothing to recommend; ingest a "
                "catalog, or events that name items"
            )
        texts = self._encoded(_item_texts(self.items))
        at = find_positions(single_chunk(texts["id"]), self.item_ids)
        size = model.manifest.spec.bert["hidden_size"] if model.manifest.spec.bert else 0
        vectors = np.full((len(self.item_ids), size), np.nan, np.float32)
        vectors[at] = lists_to_matrix(single_chunk(texts["vector"]), size)
        self.text_projection = TextProjection.fit(vectors, self.given.text_size)
        self.vectors = self.text_projection.project(vectors)
        known = self._encoded(self._listing_texts())
        self.query_texts = QueryTexts(
            single_chunk(known["id"]),
            self.text_projection.project(lists_to_matrix(single_chunk(known["vector"]), size)),
            self.given.query_event_types,
            settings.sessions.gap.total_seconds(),
        )

    @property
    def now(self) -> datetime:
        """Just after the last that happened or arrived."""
        return latest_event_time(self.events) + timedelta(seconds=1)

    @property
    def targets(self) -> DataFrame:
        """(item, target): the vector of each item that has a text."""
        item = np.flatnonzero(np.isfinite(self.vectors).all(axis=1)).astype(np.int32)
        rows = pa.table({"item": pa.array(item), "target": rows_to_list_array(self.vectors[item])})
        return self.item_numbers.sparkSession.createDataFrame(rows)

    def fit_retrieval(self, as_of: datetime, ranker_examples: DataFrame) -> RetrievalModel:
        """What was known before `as_of`; `ranker_examples` holds the interest vectors of profiles until then
        and what was `relevant` next."""
        given = self.given
        events = self.events.where(
            (F.col("event_ts") < F.lit(as_of)) & (F.col("ingest_ts") < F.lit(as_of))
        )
        steps = build_histories(events, self.item_numbers, given.weights, given.max_steps)
        interest_map = self._fit_interest_map(ranker_examples)
        with cached(steps) as steps:
            known = SourceData(
                histories=steps,
                vectors=np.nan_to_num(self.vectors),
                approximate_search_from=given.approximate_search_from,
                seed=given.seed,
                events=events,
                items=self.item_numbers,
                interest_map=interest_map,
                contexts={name: self._commonest(events, name) for name in given.contexts},
                weights=given.weights,
                now=int(as_of.timestamp()),
            )
            sources = {
                name: fit_source(known, **source.model_dump())
                for name, source in given.chosen.items()
            }
        reasons = {name: given.reasons[name] for name in given.chosen}
        manifest = self.model.manifest
        reader = ProfileReader(
            self.item_ids, given.weights, known.contexts, manifest.model_version,
            manifest.spec.joined_size, self.query_texts,
        )  # fmt: skip
        words = ReasonTexts(reasons, given.reason_fallbacks.item, given.reason_fallbacks.place)
        catalog = self._catalog(events, known.now)
        return RetrievalModel(catalog, sources, words, reader, interest_map, given.decay)

    def _fit_interest_map(self, ranker_examples: DataFrame) -> Floats:
        pairs = ranker_examples.where(F.size("interest_vector") > 0).select(
            F.col("interest_vector").alias("vector"), F.get("relevant", F.lit(0)).alias("item")
        )
        return fit_interest_map(
            pairs.join(F.broadcast(self.targets), "item"),
            self.model.manifest.spec.joined_size,
            self.given.text_size,
            self.given.interest_ridge,
        )

    def _catalog(self, events: DataFrame, now: int) -> Catalog:
        half_life = self.settings.behaviour.half_life_days
        wanted = compute_demand(
            events, self.item_numbers, [], self.given.weights, now, half_life, half_life
        ).toArrow()
        of_item = np.zeros(len(self.item_ids))
        of_item[wanted["item"].to_numpy()] = wanted["demand"].to_numpy()
        told = self.items.select(*CATALOG_COLUMNS).toArrow()
        told = told.take(pa.array(find_positions(self.item_ids, single_chunk(told["item_id"]))))
        columns = {name: single_chunk(told[name]) for name in CATALOG_COLUMNS}
        told_too = {"demand": of_item, "vector": rows_to_list_array(self.vectors)}
        return Catalog(pa.table(columns | told_too))

    def _commonest(self, events: DataFrame, context: str) -> list[str]:
        counted = events.where(F.col(context).isNotNull()).groupBy(context).count()
        ordered = counted.orderBy(F.desc("count"), context).limit(self.given.max_context_values)
        return [row[0] for row in ordered.collect()]

    def _listing_texts(self) -> DataFrame:
        """(id, text): the texts that items were shown under, the most frequent."""
        shown = self.events.where(F.col("event_type").isin(*self.given.query_event_types))
        texts = shown.select(F.coalesce("query", "text").alias("text")).where("text IS NOT NULL")
        counted = texts.groupBy("text").count().orderBy(F.desc("count"), "text")
        return counted.limit(self.given.max_query_texts).select(F.col("text").alias("id"), "text")

    def _encoded(self, texts: DataFrame) -> pa.Table:
        """(id, vector) of (id, text), in any order."""
        manifest, given = self.model.manifest, self.settings.refresh
        tokens = texts.withColumn("tokens", self.model.tokenize("text")).select("*", "tokens.*")
        return (
            add_text_vectors(
                tokens,
                self.model.folder,
                model_version=manifest.model_version,
                runtime=given.runtime,
                batch_tokens=given.batch_tokens,
            )
            .select("id", "vector")
            .toArrow()
        )


def _item_texts(items: DataFrame) -> DataFrame:
    """(id, text): what is told of each item of which something is."""
    title = F.coalesce("title", F.lit(""))
    others = [F.when(F.col(name) != title, F.col(name)) for name in ("category", "brand")]
    text = F.concat_ws(" ", "title", *others)
    return items.select(F.col("item_id").alias("id"), text.alias("text")).where("text != ''")
