"""Sources to and from a folder: arrays in safetensors beside what describes them, never pickle."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from profile_lib.recommend.candidates.buy_again import BuyAgain
from profile_lib.recommend.candidates.factors import Factors
from profile_lib.recommend.candidates.item_to_item import ItemToItem
from profile_lib.recommend.candidates.nearest_items import (
    InterestToItem,
    load_index,
    serialise_index,
)
from profile_lib.recommend.candidates.popular_by_context import ContextPopularity
from profile_lib.recommend.candidates.source import Source
from profile_lib.recommend.candidates.user_to_user import UserToUser

ARRAYS_FILE, DESCRIPTION_FILE = "sources.safetensors", "sources.json"
SOURCE_CLASSES: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (ItemToItem, UserToUser, Factors, InterestToItem, ContextPopularity, BuyAgain)
}
SPARSE_PARTS = ("data", "indices", "indptr", "shape")  # of a sparse matrix


def save_sources(folder: Path, sources: Mapping[str, Source]) -> None:
    """Write the sources, by their names in this order, into a folder that is there."""
    arrays: dict[str, np.ndarray] = {}
    described = []
    for name, source in sources.items():
        numbers = {}
        for field in fields(source):  # type: ignore[arg-type]
            value, key = getattr(source, field.name), f"{name}/{field.name}"
            if isinstance(value, sparse.csr_array):
                parts = (value.data, value.indices, value.indptr, np.array(value.shape))
                arrays |= {f"{key}/{p}": a for p, a in zip(SPARSE_PARTS, parts, strict=True)}
            elif isinstance(value, faiss.Index):
                arrays[f"{key}/index"] = serialise_index(value)
            elif isinstance(value, np.ndarray):
                arrays[key] = np.ascontiguousarray(value)
            else:
                numbers[field.name] = value
        described.append({"name": name, "kind": type(source).__name__, "parameters": numbers})
    save_file(arrays, folder / ARRAYS_FILE)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_sources(folder: Path) -> dict[str, Source]:
    """The sources as they were saved; whether the files are those that were is for the caller."""
    arrays = load_file(folder / ARRAYS_FILE)
    described = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    return {one["name"]: _source(one, arrays) for one in described}


def _source(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Source:
    kind = SOURCE_CLASSES[described["kind"]]
    return kind(**{
        field.name: _value(f"{described['name']}/{field.name}", arrays)
        if field.name not in described["parameters"] else described["parameters"][field.name]
        for field in fields(kind)
    })  # fmt: skip


def _value(key: str, arrays: Mapping[str, np.ndarray]) -> Any:
    if key in arrays:
        return arrays[key]
    if (saved := arrays.get(f"{key}/index")) is not None:
        return load_index(saved)
    data, indices, indptr, shape = (arrays[f"{key}/{part}"] for part in SPARSE_PARTS)
    return sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))
