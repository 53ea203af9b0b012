"""Save and load everything that a recommender has learned except its ranker."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.arrays.groups import rows_to_list_array, single_chunk
from profile_lib.arrays.types import Floats
from profile_lib.recommend.candidates.source import CandidateSource
from profile_lib.recommend.candidates.storage import load_sources, save_sources
from profile_lib.recommend.data.arrow_columns import lists_to_matrix
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.profile_reader import ProfileReader, QueryTexts
from profile_lib.recommend.ranking.features import feature_names, n_vector_features
from profile_lib.recommend.serving.reasons import ReasonTexts

DESCRIPTION_FILE = "recommender.json"
INTEREST_MAP_FILE = "interest_map.parquet"
QUERY_TEXTS_FILE = "query_texts.parquet"


@dataclass(frozen=True)
class RetrievalModel:
    """The catalog, the fitted sources, their reasons, and the profile reader.

    `interest_map` maps interest vectors to text vectors (see `map_interests`). `decay` is the
    parameter of `compute_features`.
    """

    catalog: Catalog
    sources: Mapping[str, CandidateSource]
    reason_texts: ReasonTexts
    reader: ProfileReader
    interest_map: Floats
    decay: float

    @property
    def feature_names(self) -> list[str]:
        """The names of the ranker's inputs, in order."""
        return feature_names(tuple(self.sources), self.interest_map.shape[1])

    @property
    def n_vector_numbers(self) -> int:
        """The number of the ranker's last inputs that are components of vectors."""
        return n_vector_features(self.interest_map.shape[1])

    def save(self, folder: Path) -> None:
        """Write the model to a folder, which must not exist yet."""
        folder.mkdir(parents=True)
        self.catalog.save(folder)
        save_sources(folder, self.sources)
        reader, texts = self.reader, self.reader.texts
        vectors = {"vector": rows_to_list_array(self.interest_map)}
        pq.write_table(pa.table(vectors), folder / INTEREST_MAP_FILE)
        known_texts = {"text": texts.texts, "vector": rows_to_list_array(texts.vectors)}
        pq.write_table(pa.table(known_texts), folder / QUERY_TEXTS_FILE)
        description = {
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
        (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RetrievalModel":
        """Load a saved model. The caller has checked that its files are unchanged."""
        description, catalog = _read_description(folder), Catalog.load(folder)
        vectors = pq.read_table(folder / INTEREST_MAP_FILE).combine_chunks()
        return cls(
            catalog,
            load_sources(folder),
            ReasonTexts(**description["reason_texts"]),
            _read_reader(folder, description, catalog),
            _read_vectors(vectors, description["text_size"]),
            description["decay"],
        )


def load_reader(folder: Path) -> ProfileReader:
    """Load the profile reader of a saved model, without the sources."""
    return _read_reader(folder, _read_description(folder), Catalog.load(folder))


@lru_cache(maxsize=2)
def load_cached_retrieval(folder: str, version: str) -> RetrievalModel:
    """Load a model once per Python worker and `version`."""
    return RetrievalModel.load(Path(folder))


def _read_description(folder: Path) -> dict[str, Any]:
    text = (folder / DESCRIPTION_FILE).read_text(encoding="utf-8")
    description: dict[str, Any] = json.loads(text)
    return description


def _read_reader(folder: Path, description: Mapping[str, Any], catalog: Catalog) -> ProfileReader:
    known_texts = pq.read_table(folder / QUERY_TEXTS_FILE).combine_chunks()
    texts = QueryTexts(
        single_chunk(known_texts["text"]),
        _read_vectors(known_texts, description["text_size"]),
        description["query_event_types"],
        description["max_gap_seconds"],
    )
    return ProfileReader(
        catalog.column("item_id"),
        description["weights"],
        description["contexts"],
        description["model_version"],
        description["interest_size"],
        texts,
    )


def _read_vectors(table: pa.Table, size: int) -> Floats:
    return lists_to_matrix(single_chunk(table["vector"]), size)
