"""Convert a dataclass to named arrays and JSON values, and back."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from profile_lib.recommend.candidates.shared.vector_index import VectorIndex

SPARSE_PARTS = ("data", "indices", "indptr", "shape")
INDEX_PART = "index"


class State(NamedTuple):
    """The saved form of a source: arrays by name, and JSON values."""

    arrays: dict[str, np.ndarray]
    parameters: dict[str, Any]


def pack_fields(instance: Any) -> State:
    """Pack the fields of a dataclass by their types.

    A field may be an array, a sparse matrix, a vector index or a JSON value.
    """
    arrays: dict[str, np.ndarray] = {}
    parameters = {}
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, sparse.csr_array):
            parts = (value.data, value.indices, value.indptr, np.array(value.shape))
            arrays |= {f"{field.name}/{p}": a for p, a in zip(SPARSE_PARTS, parts, strict=True)}
        elif isinstance(value, VectorIndex):
            arrays[f"{field.name}/{INDEX_PART}"] = value.to_bytes()
        elif isinstance(value, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(value)
        else:
            parameters[field.name] = value
    return State(arrays, parameters)


def unpack_fields(dataclass: type[Any], state: State) -> dict[str, Any]:
    """Return the fields that `pack_fields` packed, by name."""
    return {
        field.name: state.parameters[field.name]
        if field.name in state.parameters
        else _unpack_array(state.arrays, field.name)
        for field in fields(dataclass)
    }


def _unpack_array(arrays: Mapping[str, np.ndarray], name: str) -> Any:
    if name in arrays:
        return arrays[name]
    if (saved := arrays.get(f"{name}/{INDEX_PART}")) is not None:
        return VectorIndex.from_bytes(saved)
    data, indices, indptr, shape = (arrays[f"{name}/{part}"] for part in SPARSE_PARTS)
    return sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))
