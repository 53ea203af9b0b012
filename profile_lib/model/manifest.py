"""Read a model folder's manifest and verify its files; needs no torch."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from profile_lib.errors import InputError, describe_invalid_keys
from profile_lib.fingerprint import hash_file, hash_text
from profile_lib.model.spec import ModelSpec

WEIGHTS_FILE, MANIFEST_FILE = "model.safetensors", "model.json"
Description = TypeVar("Description", bound=BaseModel)


class Manifest(BaseModel):
    """The content of a model's model.json."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    model_version: str  # the folder's name and a hash of spec and weights
    files: dict[str, str]  # path below the folder → SHA-256, for all files except model.json
    spec: ModelSpec
    metrics: dict[str, Any]
    table_versions: dict[str, int]  # table → version that the model was trained on


def read_manifest(folder: str) -> Manifest:
    """Read a model folder's manifest, without its weights.

    Raises InputError if there is no model or its model.json is invalid.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: no {MANIFEST_FILE}; run train_model first (fit_recommender for a "
            "recommender), or name the folder of a model"
        )
    return read_description(path, Manifest, "a model's description")


def read_description(path: Path, kind: type[Description], meaning: str) -> Description:
    """Read a JSON file as an instance of `kind`.

    Raises InputError if it is invalid; the message says that the file is not `meaning`.
    """
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"{path}: not {meaning}: {describe_invalid_keys(error)}") from error


def check_model(folder: str) -> Manifest:
    """Return a model folder's manifest after verifying every file in the folder.

    Raises InputError if a file is missing or was changed, model.json included.
    """
    manifest = read_manifest(folder)
    for name in sorted(manifest.files):
        check_file(folder, name, manifest)
    version = manifest.model_version.rpartition("-")[2]
    actual = hash_model(manifest.files.get(WEIGHTS_FILE, ""), manifest.spec)
    if actual != version:
        raise InputError(
            f"{folder}: {MANIFEST_FILE} names version {version}, but describes {actual}: it was "
            "changed after training; train the model again, or download it again"
        )
    return manifest


def check_file(folder: str, name: str, manifest: Manifest) -> None:
    """Raise InputError if a model's file is missing or was changed."""
    path = Path(folder) / name
    if not path.is_file():
        raise InputError(f"{folder}: no {name}; the folder is incomplete, train the model again")
    wanted, actual = manifest.files.get(name, "none"), hash_file(path)
    if actual != wanted:
        raise InputError(
            f"{path}: sha256 {actual[:12]}…, {MANIFEST_FILE} says {wanted[:12]}…: "
            "the file was changed after training; train the model again"
        )


def hash_model(weights: str, spec: ModelSpec) -> str:
    """Return a hash of the spec and of the weights' checksum `weights`."""
    # Fields at their defaults are left out, so that a new field does not change old versions.
    return hash_text(weights + spec.model_dump_json(exclude_defaults=True), 12)
