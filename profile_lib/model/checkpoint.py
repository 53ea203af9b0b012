"""A model to and from a folder: safetensors, never pickle; written whole or not at all."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from profile_lib.files import atomic_folder
from profile_lib.fingerprint import hash_file
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.manifest import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Manifest,
    check_file,
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
    with atomic_folder(target) as fresh:
        AutoTokenizer.from_pretrained(tokenizer_folder).save_pretrained(fresh)
        weights = {k: v.cpu().contiguous() for k, v in model.state_dict().items()}
        save_file(weights, fresh / WEIGHTS_FILE)
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
