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
    sha256: str  # of the weights
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
) -> About:
    """Write weights, tokenizer, model.json and further `files` (name → text, or content for JSON).

    Everything is written to a sibling, which then takes the folder's place.
    """
    spec, target = model.spec, Path(folder)
    fresh = target.with_name(target.name + ".writing")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    AutoTokenizer.from_pretrained(tokenizer_folder).save_pretrained(fresh)
    save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, fresh / WEIGHTS)
    digest = sha256_of(fresh / WEIGHTS)
    version = hashlib.sha256((digest + spec.model_dump_json()).encode()).hexdigest()[:12]
    about = About(
        model_version=f"{target.name}-{version}",
        sha256=digest,
        spec=spec,
        metrics=dict(metrics),
        table_versions=dict(table_versions),
    )
    (fresh / ABOUT).write_text(about.model_dump_json(indent=1), encoding="utf-8")
    for name, content in (files or {}).items():
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        (fresh / name).write_text(text, encoding="utf-8")
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


def load_model(folder: str) -> tuple[ProfileModel, ModelSpec, About]:
    """The model as it was saved, in evaluation mode.

    Raises InputError where a file is missing or the weights are not those that were saved.
    """
    about = read_about(folder)
    weights = Path(folder) / WEIGHTS
    if not weights.is_file():
        raise InputError(f"{folder}: no {WEIGHTS}; the folder is not whole, train the model again")
    found = sha256_of(weights)
    if found != about.sha256:
        raise InputError(
            f"{weights}: sha256 {found[:12]}…, {ABOUT} says {about.sha256[:12]}…: "
            "the weights were changed after training; train the model again"
        )
    model = ProfileModel(about.spec)
    model.load_state_dict(load_file(weights))
    return model.eval(), about.spec, about


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
