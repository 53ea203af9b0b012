"""Training from the examples table to a model's folder, on real ranks and in one process."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from jobs import train_model
from profile_lib.config import Settings, load_settings
from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.store import Store
from profile_lib.tables import EXAMPLES, NUMERIC_FEATURES

CONF = Path(__file__).parents[2] / "conf"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "view", "cart", "red", "green", "blue"]
CLS, SEP, VIEW, CART, COLOURS = 2, 3, 5, 6, {"red": 7, "green": 8, "blue": 9}
LENGTH = 16
NAMES = [column.name for column in NUMERIC_FEATURES]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    """A BertModel folder small enough to train in seconds, without dropout."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return str(folder)


def world(n: int) -> pd.DataFrame:
    """Who has n_in_cart above 2, or the word `cart` in the text, buys with nine in ten; the next
    category is the colour of the text, which the most seen one tells in half of the cases."""
    rng = np.random.default_rng(3)
    colours = rng.choice(list(COLOURS), n)
    has_cart = rng.random(n) < 0.2
    numeric = rng.poisson(1.0, (n, len(NAMES))).astype(float)
    numeric[:, NAMES.index("cart_value")] = np.nan
    may_buy = has_cart | (numeric[:, NAMES.index("n_in_cart")] > 2)
    texts = [
        [CLS, CART if cart else VIEW, *[COLOURS[colour]] * (1 + i % 4), SEP]
        for i, (cart, colour) in enumerate(zip(has_cart, colours, strict=True))
    ]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "cutoff_ts": [start + timedelta(minutes=i) for i in range(n)],
            "split": np.where(np.arange(n) < n * 0.6, "train",
                              np.where(np.arange(n) < n * 0.8, "validation", "test")),
            "text": ["" for _ in range(n)],
            "token_ids": [row + [0] * (LENGTH - len(row)) for row in texts],
            "n_tokens": [len(row) for row in texts],
            "numeric": list(numeric),
            "top_category": np.where(rng.random(n) < 0.5, colours, None),
            "buys": (may_buy & (rng.random(n) < 0.9)).astype(int),
            "next_category": np.where(rng.random(n) < 0.8, colours, None),
            "age_band": None,
            "gender": None,
            "sampling_weight": np.where(may_buy, 1.0, 2.0),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(spark, tmp_path_factory) -> Store:
    tables = Store(spark, str(tmp_path_factory.mktemp("tables")))
    tables.replace(EXAMPLES, spark.createDataFrame(world(1500), EXAMPLES.schema))
    return tables


@pytest.fixture(scope="module")
def settings(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")

    def make(*changes: str) -> Settings:
        return load_settings(
            str(CONF / "dev.yaml"),
            [
                f"paths.work={folder}/work", f"paths.models={folder}/models",
                f"model.encoder={encoder}", "model.dropout=0.0", "training.epochs=2",
                "training.encoder_lr=0.003", "training.numeric_epochs=3",
                "training.numeric_batch_size=64", "training.window=256", *changes,
            ],
        )  # fmt: skip

    return make


def trained(store: Store, settings: Settings) -> Path:
    train_model.run(store, settings, None)
    return Path(settings.paths.models) / settings.training.name


@pytest.fixture(scope="module")
def alone(store, settings) -> Path:
    return trained(store, settings("training.name=alone", "training.ranks=1"))


def test_two_ranks_give_the_loss_curve_of_one_process(store, settings, alone, capfd):
    ranks = trained(store, settings("training.name=ranks", "training.ranks=2"))
    one, two = (json.loads((m / "training.json").read_text()) for m in (alone, ranks))
    assert len(one["curve"]) == len(two["curve"]) > 100
    np.testing.assert_allclose(one["curve"], two["curve"], atol=1e-4)
    assert "stage text, epoch 2" in capfd.readouterr().out


def test_the_model_learns_the_world_from_text_and_numbers(alone):
    report = json.loads((alone / "report.json").read_text())
    buys, following = report["buys"], report["next_category"]
    assert buys["model"]["roc_auc"] > 0.88 > buys["gradient_boosting"]["roc_auc"] + 0.05
    assert following["model"]["accuracy"] > 0.95
    assert 0.4 < following["most_seen_category"]["accuracy"] < 0.6
    assert following["model"]["mrr"] > following["most_seen_category"]["mrr"]


def test_the_saved_model_is_whole(alone):
    model, spec, about = load_model(str(alone))
    assert spec.numeric == tuple(NAMES)
    assert [(t.name, len(t.classes)) for t in spec.tasks] == [("buys", 0), ("next_category", 3)]
    assert about.table_versions == {"examples": 1}
    assert about.model_version.startswith("alone-")
    numbers = {of["name"]: of for of in json.loads((alone / "numbers.json").read_text())}
    assert numbers["n_in_cart"]["edges"][:3] == [0.0, 1.0, 2.0]
    assert numbers["cart_value"]["edges"] == []


def test_a_loss_that_is_not_a_number_stops_and_names_the_step(store, settings):
    wild = settings(
        "training.name=wild", "training.ranks=1", "training.head_lr=1e30", "training.epochs=0"
    )
    with pytest.raises(InputError, match=r"the loss is (nan|inf) at numbers, epoch 1, step \d+"):
        train_model.run(store, wild, None)
    assert not (Path(wild.paths.models) / "wild").exists()


def test_a_task_without_labels_is_told_before_training(store, settings):
    early = settings("training.name=early", "model.tasks=[{name: age, label: age_band, "
                     "kind: multiclass, weight: 1.0}]")  # fmt: skip
    with pytest.raises(InputError, match=r"labels of age \(age_band\) in train: none; wanted two"):
        train_model.run(store, early, None)


def test_shards_that_no_rank_count_divides_are_refused(store, settings):
    with pytest.raises(InputError, match=r"training.shards: 3 is no multiple of training.ranks"):
        train_model.run(store, settings("training.shards=3", "training.batch_size=33",
                                        "training.numeric_batch_size=66"), None)  # fmt: skip


def test_an_encoder_folder_without_weights_is_refused(store, settings, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds config.json; wanted .*safetensors"):
        train_model.run(store, settings(f"model.encoder={tmp_path}"), None)
