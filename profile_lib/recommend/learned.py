"""All that a recommender has learned but its ranking, to and from a folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.recommend.asking import Reader, Texts, as_rows
from profile_lib.recommend.catalogue import Catalogue
from profile_lib.recommend.pairs import feature_names, n_of_vectors
from profile_lib.recommend.reasons import Words
from profile_lib.recommend.sources import Source
from profile_lib.recommend.stored import load_sources, save_sources
from profile_lib.segments import Floats, rows_as_lists, whole

ABOUT, TO_TEXTS, TEXTS = "recommender.json", "to_texts.parquet", "texts.parquet"


@dataclass(frozen=True)
class Learned:
    """`sources` by name, the `catalogue`, what `reader` turns profiles into, and what `words` tell
    of a listed item; `to_texts` takes interest vectors among those of items' texts; `decay` is what
    `features` takes."""

    catalogue: Catalogue
    sources: Mapping[str, Source]
    words: Words
    reader: Reader
    to_texts: Floats
    decay: float

    @property
    def numbers(self) -> list[str]:
        """Names of what the ranker reads of a candidate, in order."""
        return feature_names(tuple(self.sources), self.to_texts.shape[1])

    @property
    def n_plain(self) -> int:
        """How many of the last of them are parts of vectors."""
        return n_of_vectors(self.to_texts.shape[1])

    def save(self, folder: Path) -> None:
        """Into a folder, which is made."""
        folder.mkdir(parents=True)
        self.catalogue.save(folder)
        save_sources(folder, self.sources)
        reader, texts = self.reader, self.reader.texts
        pq.write_table(pa.table({"vector": rows_as_lists(self.to_texts)}), folder / TO_TEXTS)
        known = {"text": texts.known, "vector": rows_as_lists(texts.vectors)}
        pq.write_table(pa.table(known), folder / TEXTS)
        told = {
            "words": asdict(self.words),
            "decay": self.decay,
            "weights": reader.weights,
            "contexts": reader.contexts,
            "model_version": reader.model_version,
            "interest": reader.interest,
            "text_size": self.to_texts.shape[1],
            "text_kinds": texts.kinds,
            "gap": texts.gap,
        }
        (folder / ABOUT).write_text(json.dumps(told, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Learned":
        """As it was saved; whether the files are those that were is for the caller."""
        told, catalogue = _told(folder), Catalogue.load(folder)
        vectors = pq.read_table(folder / TO_TEXTS).combine_chunks()
        to_texts = _rows(vectors, told["text_size"])
        reader, sources = _reader(folder, told, catalogue), load_sources(folder)
        return cls(catalogue, sources, Words(**told["words"]), reader, to_texts, told["decay"])


def load_reader(folder: Path) -> Reader:
    """What reads profiles alone: the items and the model's version without the sources."""
    return _reader(folder, _told(folder), Catalogue.load(folder))


def version_of(folder: Path) -> str:
    """A hash of all that lies in a folder."""
    told = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        told.update(file.name.encode())
        with file.open("rb") as opened:
            told.update(hashlib.file_digest(opened, "sha256").digest())
    return told.hexdigest()[:12]


@lru_cache(maxsize=2)
def learned(folder: str, version: str) -> Learned:
    """What lies in a folder, read once by a Python worker as long as it is of this `version`."""
    return Learned.load(Path(folder))


def _told(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return told


def _reader(folder: Path, told: Mapping[str, Any], catalogue: Catalogue) -> Reader:
    texts = pq.read_table(folder / TEXTS).combine_chunks()
    known = Texts(
        whole(texts["text"]), _rows(texts, told["text_size"]), told["text_kinds"], told["gap"]
    )
    return Reader(
        catalogue.column("item_id"),
        told["weights"],
        told["contexts"],
        told["model_version"],
        told["interest"],
        known,
    )


def _rows(table: pa.Table, size: int) -> Floats:
    return as_rows(whole(table["vector"]), size)
