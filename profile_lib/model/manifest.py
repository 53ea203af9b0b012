"""What a model's folder says of itself, and whether it is as it was saved; needs no torch."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from profile_lib.errors import InputError, describe_invalid_keys
from profile_lib.fingerprint import hash_file, hash_text
from profile_lib.model.spec import ModelSpec

WEIGHTS_FILE, MANIFEST_FILE = "model.safetensors", "model.json"


class Manifest(BaseModel):
    """What model.json tells of a model."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    model_version: str  # the folder's name and a hash of spec and weights
    files: dict[str, str]  # path below the folder → its SHA-256, of all but this description
    spec: ModelSpec
    metrics: dict[str, Any]
    table_versions: dict[str, int]  # of the tables it was trained from


def read_manifest(folder: str) -> Manifest:
    """What a model's folder says of itself, without its weights.

    Raises InputError where there is no model or its model.json is not one.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: no {MANIFEST_FILE}; run train_model first, for a recommender fit_recommender, or "
            "name its folder"
        )
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(
            f"{path}: not a model's description: {describe_invalid_keys(error)}"
        ) from error


def check_model(folder: str) -> Manifest:
    """What a model's folder says of itself, once every file of it is as it was saved.

    Raises InputError where one is missing or was changed, the description itself among them.
    """
    manifest = read_manifest(folder)
    for name in sorted(manifest.files):
        check_file(folder, name, manifest)
    named = manifest.model_version.rpartition("-")[2]
    if (found := hash_model(manifest.files.get(WEIGHTS_FILE, ""), manifest.spec)) != named:
        raise InputError(
            f"{folder}: {MANIFEST_FILE} tells of version {named}, but what it describes is {found}: it was "
            "changed after training; train the model again, or fetch it again"
        )
    return manifest


def check_file(folder: str, name: str, manifest: Manifest) -> None:
    """Raise InputError where a file of a model is missing or is not the one that was saved."""
    path = Path(folder) / name
    if not path.is_file():
        raise InputError(f"{folder}: no {name}; the folder is not whole, train the model again")
    wanted, found = manifest.files.get(name, "none"), hash_file(path)
    if found != wanted:
        raise InputError(
            f"{path}: sha256 {found[:12]}…, {MANIFEST_FILE} says {wanted[:12]}…: "
            "the file was changed after training; train the model again"
        )


def hash_model(weights: str, spec: ModelSpec) -> str:
    """A hash of the weights' checksum and the spec."""
    told = spec.model_dump_json(exclude_defaults=True)  # a later version may know more fields
    return hash_text(weights + told, 12)
