"""A model to and from a folder: safetensors, never pickle; written whole or not at all."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.manifest import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Manifest,
    check_file,
    hash_file,
    hash_model,
    read_manifest,
)
from profile_lib.model.spec import ModelSpec

ENCODER_PREFIX = "bert."  # its weights' names begin so


def save_model(
    folder: str,
    model: ProfileModel,
    tokenizer_folder: str,
    metrics: Mapping[str, Any],
    table_versions: Mapping[str, int],
    files: Mapping[str, Any] | None = None,
    folders: Mapping[str, Path] | None = None,
) -> Manifest:
    """Write weights, tokenizer, model.json, further `files` (name → text, or content for JSON) and
    copies of `folders`.

    Everything is written to a sibling, which then takes the folder's place.
    """
    from transformers import AutoTokenizer  # heavy, and who loads a model needs none

    spec, target = model.spec, Path(folder)
    fresh = target.with_name(target.name + ".writing")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    AutoTokenizer.from_pretrained(tokenizer_folder).save_pretrained(fresh)
    save_file(
        {k: v.cpu().contiguous() for k, v in model.state_dict().items()}, fresh / WEIGHTS_FILE
    )
    for name, content in (files or {}).items():
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        (fresh / name).write_text(text, encoding="utf-8")
    for name, source in (folders or {}).items():
        shutil.copytree(source, fresh / name)
    written = _checksums(fresh)
    manifest = Manifest(
        model_version=f"{target.name}-{hash_model(written[WEIGHTS_FILE], spec)}",
        files=written,
        spec=spec,
        metrics=dict(metrics),
        table_versions=dict(table_versions),
    )
    (fresh / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    _replace_folder(fresh, target)
    return manifest


def load_model(
    folder: str, *, with_encoder: bool = True
) -> tuple[ProfileModel, ModelSpec, Manifest]:
    """The model as it was saved, in evaluation mode; its encoder may be left where it is.

    Raises InputError where a file is missing or the weights are not those that were saved.
    """
    manifest = read_manifest(folder)
    check_file(folder, WEIGHTS_FILE, manifest)
    model, weights = (
        ProfileModel(manifest.spec, with_encoder=with_encoder),
        Path(folder) / WEIGHTS_FILE,
    )
    of_all = load_file(weights).items()
    model.load_state_dict(
        {k: v for k, v in of_all if with_encoder or not k.startswith(ENCODER_PREFIX)}
    )
    return model.eval(), manifest.spec, manifest


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def _replace_folder(fresh: Path, target: Path) -> None:
    """`fresh` in the place of `target`, which is removed only once it is out of the way."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
