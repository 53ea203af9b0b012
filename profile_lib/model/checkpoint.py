"""A model to and from a folder: safetensors, never pickle; written whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from profile_lib.errors import InputError, wrong_keys
from profile_lib.model.encoder import ModelSpec, ProfileModel

WEIGHTS, ABOUT = "model.safetensors", "model.json"


class About(BaseModel):
    """What model.json tells of a model."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    model_version: str  # the folder's name and a hash of spec and weights
    files: dict[str, str]  # path below the folder → its SHA-256, of all but this description
    spec: ModelSpec
    metrics: dict[str, Any]
    table_versions: dict[str, int]  # of the tables it was trained from


def save_model(
    folder: str,
    model: ProfileModel,
    tokenizer_folder: str,
    metrics: Mapping[str, Any],
    table_versions: Mapping[str, int],
    files: Mapping[str, Any] | None = None,
    folders: Mapping[str, Path] | None = None,
) -> About:
    """Write weights, tokenizer, model.json, further `files` (name → text, or content for JSON) and
    copies of `folders`.

    Everything is written to a sibling, which then takes the folder's place.
    """
    spec, target = model.spec, Path(folder)
    fresh = target.with_name(target.name + ".writing")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    AutoTokenizer.from_pretrained(tokenizer_folder).save_pretrained(fresh)
    save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, fresh / WEIGHTS)
    for name, content in (files or {}).items():
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        (fresh / name).write_text(text, encoding="utf-8")
    for name, source in (folders or {}).items():
        shutil.copytree(source, fresh / name)
    written = _checksums(fresh)
    about = About(
        model_version=f"{target.name}-{_version(written[WEIGHTS], spec)}",
        files=written,
        spec=spec,
        metrics=dict(metrics),
        table_versions=dict(table_versions),
    )
    (fresh / ABOUT).write_text(about.model_dump_json(indent=1), encoding="utf-8")
    _swap(fresh, target)
    return about


def read_about(folder: str) -> About:
    """What a model's folder says of itself, without its weights.

    Raises InputError where there is no model or its model.json is not one.
    """
    path = Path(folder) / ABOUT
    if not path.is_file():
        raise InputError(f"{folder}: no {ABOUT}; run train_model first, or name its folder")
    try:
        return About.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"{path}: not a model's description: {wrong_keys(error)}") from error


def check_model(folder: str) -> About:
    """What a model's folder says of itself, once every file of it is as it was saved.

    Raises InputError where one is missing or was changed, the description itself among them.
    """
    about = read_about(folder)
    for name in sorted(about.files):
        _check_file(folder, name, about)
    named = about.model_version.rpartition("-")[2]
    if (found := _version(about.files.get(WEIGHTS, ""), about.spec)) != named:
        raise InputError(
            f"{folder}: {ABOUT} tells of version {named}, but what it describes is {found}: it was "
            "changed after training; train the model again, or fetch it again"
        )
    return about


def load_model(folder: str) -> tuple[ProfileModel, ModelSpec, About]:
    """The model as it was saved, in evaluation mode.

    Raises InputError where a file is missing or the weights are not those that were saved.
    """
    about = read_about(folder)
    _check_file(folder, WEIGHTS, about)
    model = ProfileModel(about.spec)
    model.load_state_dict(load_file(Path(folder) / WEIGHTS))
    return model.eval(), about.spec, about


def _check_file(folder: str, name: str, about: About) -> None:
    path = Path(folder) / name
    if not path.is_file():
        raise InputError(f"{folder}: no {name}; the folder is not whole, train the model again")
    wanted, found = about.files.get(name, "none"), sha256_of(path)
    if found != wanted:
        raise InputError(
            f"{path}: sha256 {found[:12]}…, {ABOUT} says {wanted[:12]}…: "
            "the file was changed after training; train the model again"
        )


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _version(weights: str, spec: ModelSpec) -> str:
    """A hash of the weights' checksum and the spec."""
    told = spec.model_dump_json(exclude_defaults=True)  # a later version may know more fields
    return hashlib.sha256((weights + told).encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """The checksum of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _swap(fresh: Path, target: Path) -> None:
    """`fresh` in the place of `target`, which is removed only once it is out of the way."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
