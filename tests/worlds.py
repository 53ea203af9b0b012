"""Small worlds for tests: a tiny encoder, and settings of a tiny shop."""

from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoTokenizer, BertConfig, BertModel

from profile_lib.encoders import encoder_folder

CONF = Path(__file__).parents[1] / "conf"


def tiny_encoder(folder: Path) -> str:
    """An untrained BERT of two narrow layers with the default encoder's vocabulary."""
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder("default"))
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def tiny_shop(folder: Path, **changes: dict[str, Any]) -> str:
    """The settings file of a shop of a few users in `folder`, over conf/dev.yaml."""
    raw = str(folder / "raw" / "events")
    values: dict[str, Any] = {
        "base": str(CONF / "dev.yaml"),
        "paths": {name: str(folder / name) for name in ("tables", "models", "work")},
        "simulate": {"events_path": raw, "truth_path": str(folder / "raw" / "truth")},
        "ingest": {
            "mapping": str(CONF / "sources" / "simulated.yaml"),
            "inputs": {"events": raw, "users": str(folder / "raw" / "users")},
        },
        "model": {"encoder": tiny_encoder(folder / "encoder")},
    }
    for section, change in changes.items():
        values[section] = values.get(section, {}) | change
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return str(path)
