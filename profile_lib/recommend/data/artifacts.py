"""All that a recommender has learned but its ranking, to and from a folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.arrays.groups import Floats, rows_to_list_array, single_chunk
from profile_lib.recommend.candidates.source import Source
from profile_lib.recommend.candidates.stored_sources import load_sources, save_sources
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.ranking.features import feature_names, n_vector_features
from profile_lib.recommend.serving.reasons import ReasonTexts
from profile_lib.recommend.serving.requests import ProfileReader, QueryTexts, lists_to_matrix

DESCRIPTION_FILE, INTEREST_MAP_FILE, QUERY_TEXTS_FILE = (
    "recommender.json",
    "interest_map.parquet",
    "query_texts.parquet",
)


@dataclass(frozen=True)
class RetrievalModel:
    """`sources` by name, the `catalog`, what `reader` turns profiles into, and what `reason_texts` tell
    of a listed item; `interest_map` takes interest vectors among those of items' texts; `decay` is what
    `compute_features` takes."""

    catalog: Catalog
    sources: Mapping[str, Source]
    reason_texts: ReasonTexts
    reader: ProfileReader
    interest_map: Floats
    decay: float

    @property
    def feature_names(self) -> list[str]:
        """Names of what the ranker reads of a candidate, in order."""
        return feature_names(tuple(self.sources), self.interest_map.shape[1])

    @property
    def n_vector_numbers(self) -> int:
        """How many of the last of them are parts of vectors."""
        return n_vector_features(self.interest_map.shape[1])

    def save(self, folder: Path) -> None:
        """Into a folder, which is made."""
        folder.mkdir(parents=True)
        self.catalog.save(folder)
        save_sources(folder, self.sources)
        reader, texts = self.reader, self.reader.texts
        pq.write_table(
            pa.table({"vector": rows_to_list_array(self.interest_map)}), folder / INTEREST_MAP_FILE
        )
        known = {"text": texts.texts, "vector": rows_to_list_array(texts.vectors)}
        pq.write_table(pa.table(known), folder / QUERY_TEXTS_FILE)
        told = {
            "reason_texts": asdict(self.reason_texts),
            "decay": self.decay,
            "weights": reader.weights,
            "contexts": reader.contexts,
            "model_version": reader.model_version,
            "interest_size": reader.interest_size,
            "text_size": self.interest_map.shape[1],
            "query_event_types": texts.event_types,
            "max_gap_seconds": texts.max_gap_seconds,
        }
        (folder / DESCRIPTION_FILE).write_text(json.dumps(told, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RetrievalModel":
        """As it was saved; whether the files are those that were is for the caller."""
        told, catalog = _told(folder), Catalog.load(folder)
        vectors = pq.read_table(folder / INTEREST_MAP_FILE).combine_chunks()
        interest_map = _rows(vectors, told["text_size"])
        reader, sources = _reader(folder, told, catalog), load_sources(folder)
        return cls(
            catalog,
            sources,
            ReasonTexts(**told["reason_texts"]),
            reader,
            interest_map,
            told["decay"],
        )


def load_reader(folder: Path) -> ProfileReader:
    """What reads profiles alone: the items and the model's version without the sources."""
    return _reader(folder, _told(folder), Catalog.load(folder))


@lru_cache(maxsize=2)
def load_cached_retrieval(folder: str, version: str) -> RetrievalModel:
    """What lies in a folder, read once by a Python worker as long as it is of this `version`."""
    return RetrievalModel.load(Path(folder))


def _told(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    return told


def _reader(folder: Path, told: Mapping[str, Any], catalog: Catalog) -> ProfileReader:
    texts = pq.read_table(folder / QUERY_TEXTS_FILE).combine_chunks()
    known = QueryTexts(
        single_chunk(texts["text"]),
        _rows(texts, told["text_size"]),
        told["query_event_types"],
        told["max_gap_seconds"],
    )
    return ProfileReader(
        catalog.column("item_id"),
        told["weights"],
        told["contexts"],
        told["model_version"],
        told["interest_size"],
        known,
    )


def _rows(table: pa.Table, size: int) -> Floats:
    return lists_to_matrix(single_chunk(table["vector"]), size)
