"""events, items and the model that serves → what recommenders learn of a shop, as of any moment."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.profiling import Served
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.inference.vectors import add_vectors
from profile_lib.recommend.asking import Reader, Texts, as_rows, position_in
from profile_lib.recommend.catalogue import Catalogue
from profile_lib.recommend.content import TextSpace
from profile_lib.recommend.fitting import Known, fit_source
from profile_lib.recommend.histories import histories, number_items
from profile_lib.recommend.interest import fit_interest
from profile_lib.recommend.learned import Learned
from profile_lib.recommend.popular import demand
from profile_lib.recommend.reasons import Words
from profile_lib.segments import Floats, rows_as_lists, whole
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import EVENTS, ITEMS
from profile_lib.timeline import last_known

OF_CATALOGUE = ("item_id", "title", "category", "brand", "price", "price_level")


class KnownShop:
    """Items by their numbers with the vectors of their texts, and of each moment what was known.

    Raises InputError where there is no item, none has a text, or the model reads no text.
    """

    def __init__(self, store: Store, settings: Settings, model: Served) -> None:
        self.settings, self.given, self.model = settings, settings.recommend, model
        self.versions = {table.name: store.version(table) for table in (EVENTS, ITEMS)}
        self.events = store.read(EVENTS, self.versions[EVENTS.name])
        self.items = store.read(ITEMS, self.versions[ITEMS.name])
        self.numbers = number_items(self.items)
        self.item_ids = self.numbers.toArrow()["item_id"].combine_chunks()
        if not len(self.item_ids):
            raise InputError(
                f"{store.path(ITEMS)}: no items, so there is nothing to recommend; ingest a "
                "catalogue, or events that name items"
            )
        texts = self._encoded(_item_texts(self.items))
        at = position_in(whole(texts["id"]), self.item_ids)
        size = model.about.spec.bert["hidden_size"] if model.about.spec.bert else 0
        vectors = np.full((len(self.item_ids), size), np.nan, np.float32)
        vectors[at] = as_rows(whole(texts["vector"]), size)
        self.space = TextSpace.of(vectors, self.given.text_size)
        self.vectors = self.space.short(vectors)
        known = self._encoded(self._listing_texts())
        self.texts = Texts(
            whole(known["id"]),
            self.space.short(as_rows(whole(known["vector"]), size)),
            self.given.text_kinds,
            settings.sessions.gap.total_seconds(),
        )

    @property
    def now(self) -> datetime:
        """Just after the last that happened or arrived."""
        return last_known(self.events) + timedelta(seconds=1)

    @property
    def targets(self) -> DataFrame:
        """(item, target): the vector of each item that has a text."""
        item = np.flatnonzero(np.isfinite(self.vectors).all(axis=1)).astype(np.int32)
        rows = pa.table({"item": pa.array(item), "target": rows_as_lists(self.vectors[item])})
        return self.numbers.sparkSession.createDataFrame(rows)

    def learn(self, until: datetime, pasts: DataFrame) -> Learned:
        """What was known before `until`; `pasts` holds the interest vectors of profiles until then
        and what was `wanted` next."""
        given = self.given
        events = self.events.where(
            (F.col("event_ts") < F.lit(until)) & (F.col("ingest_ts") < F.lit(until))
        )
        steps = histories(events, self.numbers, given.weights, given.most_steps)
        to_texts = self._to_texts(pasts)
        with kept(steps) as steps:
            known = Known(
                histories=steps,
                vectors=np.nan_to_num(self.vectors),
                exact_below=given.exact_below,
                seed=given.seed,
                events=events,
                items=self.numbers,
                to_texts=to_texts,
                contexts={name: self._commonest(events, name) for name in given.contexts},
                weights=given.weights,
                now=int(until.timestamp()),
            )
            sources = {
                name: fit_source(known, **source.model_dump())
                for name, source in given.chosen.items()
            }
        reasons = {name: given.reasons[name] for name in given.chosen}
        about = self.model.about
        reader = Reader(
            self.item_ids, given.weights, known.contexts, about.model_version,
            about.spec.joined_size, self.texts,
        )  # fmt: skip
        words = Words(reasons, given.words.item, given.words.place)
        catalogue = self._catalogue(events, known.now)
        return Learned(catalogue, sources, words, reader, to_texts, given.decay)

    def _to_texts(self, pasts: DataFrame) -> Floats:
        pairs = pasts.where(F.size("interest_vector") > 0).select(
            F.col("interest_vector").alias("vector"), F.get("wanted", F.lit(0)).alias("item")
        )
        return fit_interest(
            pairs.join(F.broadcast(self.targets), "item"),
            self.model.about.spec.joined_size,
            self.given.text_size,
            self.given.interest_ridge,
        )

    def _catalogue(self, events: DataFrame, now: int) -> Catalogue:
        half_life = self.settings.behaviour.half_life_days
        wanted = demand(
            events, self.numbers, [], self.given.weights, now, half_life, half_life
        ).toArrow()
        of_item = np.zeros(len(self.item_ids))
        of_item[wanted["item"].to_numpy()] = wanted["demand"].to_numpy()
        told = self.items.select(*OF_CATALOGUE).toArrow()
        told = told.take(pa.array(position_in(self.item_ids, whole(told["item_id"]))))
        columns = {name: whole(told[name]) for name in OF_CATALOGUE}
        told_too = {"demand": of_item, "vector": rows_as_lists(self.vectors)}
        return Catalogue(pa.table(columns | told_too))

    def _commonest(self, events: DataFrame, context: str) -> list[str]:
        counted = events.where(F.col(context).isNotNull()).groupBy(context).count()
        ordered = counted.orderBy(F.desc("count"), context).limit(self.given.most_places)
        return [row[0] for row in ordered.collect()]

    def _listing_texts(self) -> DataFrame:
        """(id, text): the texts that items were shown under, the most frequent."""
        shown = self.events.where(F.col("event_type").isin(*self.given.text_kinds))
        texts = shown.select(F.coalesce("query", "text").alias("text")).where("text IS NOT NULL")
        counted = texts.groupBy("text").count().orderBy(F.desc("count"), "text")
        return counted.limit(self.given.known_texts).select(F.col("text").alias("id"), "text")

    def _encoded(self, texts: DataFrame) -> pa.Table:
        """(id, vector) of (id, text), in any order."""
        about, given = self.model.about, self.settings.refresh
        tokens = texts.withColumn("tokens", self.model.tokenize("text")).select("*", "tokens.*")
        return (
            add_vectors(
                tokens,
                self.model.folder,
                model_version=about.model_version,
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
