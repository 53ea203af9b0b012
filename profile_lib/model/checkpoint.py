"""Save and load models as safetensors and JSON, never as a pickle."""

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

ENCODER_PREFIX = "bert."  # the names of the encoder's weights begin with it


def save_model(
    folder: str,
    model: ProfileModel,
    tokenizer_folder: str,
    metrics: Mapping[str, Any],
    table_versions: Mapping[str, int],
    files: Mapping[str, Any] | None = None,
    folders: Mapping[str, Path] | None = None,
) -> Manifest:
    """Write a model with its tokenizer and manifest, completely or not at all.

    The tokenizer is copied from `tokenizer_folder`. The manifest holds `metrics` and
    `table_versions`, the version of each table that the model was trained on. `files` maps the
    names of further files to a text or to content for JSON, `folders` maps names to folders to
    copy. Everything is written to a sibling folder, which then replaces `folder`. Returns the
    manifest.
    """
    from transformers import AutoTokenizer  # slow to import, and not needed to load a model

    target = Path(folder)
    with atomic_folder(target) as unfinished:
        AutoTokenizer.from_pretrained(tokenizer_folder).save_pretrained(unfinished)
        weights = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, unfinished / WEIGHTS_FILE)
        for name, content in (files or {}).items():
            text = content if isinstance(content, str) else json.dumps(content, indent=1)
            (unfinished / name).write_text(text, encoding="utf-8")
        for name, source in (folders or {}).items():
            shutil.copytree(source, unfinished / name)
        checksums = _hash_files(unfinished)
        manifest = Manifest(
            model_version=f"{target.name}-{hash_model(checksums[WEIGHTS_FILE], model.spec)}",
            files=checksums,
            spec=model.spec,
            metrics=dict(metrics),
            table_versions=dict(table_versions),
        )
        description = manifest.model_dump_json(indent=1)
        (unfinished / MANIFEST_FILE).write_text(description, encoding="utf-8")
    return manifest


def load_model(
    folder: str, *, with_encoder: bool = True
) -> tuple[ProfileModel, ModelSpec, Manifest]:
    """Load a saved model in evaluation mode, with its spec and manifest.

    Without `with_encoder` the encoder is not built, because another runtime runs it. Raises
    InputError if the manifest or the weights are missing or not as they were saved.
    """
    manifest = read_manifest(folder)
    check_file(folder, WEIGHTS_FILE, manifest)
    model = ProfileModel(manifest.spec, with_encoder=with_encoder)
    weights = load_file(Path(folder) / WEIGHTS_FILE).items()
    model.load_state_dict(
        {k: v for k, v in weights if with_encoder or not k.startswith(ENCODER_PREFIX)}
    )
    return model.eval(), manifest.spec, manifest


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
