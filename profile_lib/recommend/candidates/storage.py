"""Save and load sources as safetensors and JSON, never as a pickle."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from profile_lib.errors import InputError, wanted_one_of
from profile_lib.recommend.candidates.registry import registered_sources
from profile_lib.recommend.candidates.shared.packing import State
from profile_lib.recommend.candidates.source import CandidateSource

ARRAYS_FILE, DESCRIPTION_FILE = "sources.safetensors", "sources.json"


def save_sources(folder: Path, sources: Mapping[str, CandidateSource]) -> None:
    """Write the sources, in this order, to an existing folder."""
    arrays, descriptions = pack_sources(sources)
    save_file(arrays, folder / ARRAYS_FILE)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(descriptions, indent=1), encoding="utf-8")


def load_sources(folder: Path) -> dict[str, CandidateSource]:
    """Load the sources by name, in the order they were saved in.

    The caller has checked that the files are unchanged. Raises InputError for a kind that is not
    registered.
    """
    descriptions = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    return unpack_sources(load_file(folder / ARRAYS_FILE), descriptions)


def pack_sources(
    sources: Mapping[str, CandidateSource],
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Return the arrays of all sources, as `name/array`, and their descriptions."""
    arrays: dict[str, np.ndarray] = {}
    descriptions = []
    for name, source in sources.items():
        state = source.to_state()
        arrays |= {f"{name}/{key}": array for key, array in state.arrays.items()}
        descriptions.append({"name": name, "kind": source.kind, "parameters": state.parameters})
    return arrays, descriptions


def unpack_sources(
    arrays: Mapping[str, np.ndarray], descriptions: Sequence[Mapping[str, Any]]
) -> dict[str, CandidateSource]:
    """Build the sources that `pack_sources` packed, by name.

    Raises InputError for a kind that is not registered.
    """
    kinds, sources = registered_sources(), {}
    for description in descriptions:
        name, kind = description["name"], description["kind"]
        if kind not in kinds:
            raise InputError(
                f"source {name}: found kind {kind}; {wanted_one_of(kinds, kind)}; import the "
                "module that registers it first"
            )
        prefix = f"{name}/"
        source_arrays = {
            k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)
        }
        sources[name] = kinds[kind].from_state(State(source_arrays, description["parameters"]))
    return sources
