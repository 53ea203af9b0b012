"""Provide a model of a few hundred weights and a tokenizer of ten words."""

import pytest
import torch
from transformers import BertConfig, BertTokenizer

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec

BERT = BertConfig(
    vocab_size=10, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=16, max_position_embeddings=16,
)  # fmt: skip


@pytest.fixture
def spec() -> ModelSpec:
    return ModelSpec(
        tasks=(
            TaskSpec(name="buys", kind="binary", classes=()),
            TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue")),
        ),
        numeric=("views", "price"),
        numeric_bins=4,
        numeric_hidden=6,
        joined_size=5,
        dropout=0.1,
        max_tokens=16,
        separator_id=3,
        bert=BERT.to_dict(),
    )


@pytest.fixture
def model(spec) -> ProfileModel:
    """Build a model whose text changes its predictions, as after a training."""
    torch.manual_seed(0)
    model = ProfileModel(spec)
    torch.nn.init.normal_(model.heads.added.weight)
    return model.eval()


@pytest.fixture
def tokenizer_folder(tmp_path) -> str:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e"]
    folder = tmp_path / "tokenizer"
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return str(folder)
