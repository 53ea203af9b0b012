"""Pretraining turns the examples' texts into an encoder's folder."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.features.tokens import add_tokens
from profile_lib.features.vocabulary import train_wordpiece
from profile_lib.model.encoder_source import encoder_folder, load_encoder
from profile_lib.pipelines import pretrain_encoder
from profile_lib.tables import EXAMPLES
from profile_lib.training.objectives.self_supervised import view_loss_sum
from tests.worlds import dev_settings, example_rows, examples_store

KINDS = {
    "red": "cap",
    "green": "mug",
    "blue": "tee",
    "猫": "玩具",
}  # each colour belongs to one thing


def world(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    colours = rng.choice(list(KINDS), (n, 2))
    texts = [
        f"likes {KINDS[a]} [SEP] view {a} {KINDS[a]} [SEP] cart {b} {KINDS[b]}" for a, b in colours
    ]
    return example_rows(n, text=texts)


@pytest.fixture(scope="module")
def store(spark, tmp_path_factory) -> Store:
    return examples_store(spark, tmp_path_factory.mktemp("tables"), world(600))


@pytest.fixture(scope="module")
def make_settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")

    def make(*changes: str) -> Settings:
        return dev_settings(
            folder,
            "pretrain.from_scratch=true", "pretrain.vocabulary=200", "pretrain.hidden_size=32",
            "pretrain.num_hidden_layers=1", "pretrain.num_attention_heads=2",
            "pretrain.max_position_embeddings=32", "pretrain.epochs=4", "pretrain.lr=0.01",
            "examples.max_tokens=16", "training.n_processes=1", *changes,
        )  # fmt: skip

    return make


def read_history(settings: Settings) -> dict:
    folder = Path(settings.paths.models) / settings.pretrain.name
    return json.loads((folder / "training.json").read_text())


@pytest.fixture(scope="module")
def pretrained(store, make_settings) -> Settings:
    settings = make_settings("pretrain.name=pretrained", "pretrain.views_weight=0")
    pretrain_encoder.run(store, settings)
    return settings


def test_an_encoder_from_scratch_learns_which_words_go_together(pretrained):
    perplexities = [
        epoch["validation"]["perplexity"] for epoch in read_history(pretrained)["epochs"]
    ]
    assert perplexities[0] > 15
    assert perplexities[-1] < 5
    folder = f"{pretrained.paths.models}/pretrained"
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder(folder))
    assert tokenizer.tokenize("view 猫 玩具") == ["view", "猫", "玩", "具"]
    assert load_encoder(folder, None, 16).config.vocab_size == len(tokenizer)


@pytest.mark.trial  # starts processes
def test_two_processes_continue_from_an_encoder_that_was_trained_before(
    store, make_settings, pretrained
):
    settings = make_settings(
        "pretrain.name=continued", "pretrain.from_scratch=false", "pretrain.views_weight=0",
        f"model.encoder={pretrained.paths.models}/pretrained", "pretrain.epochs=1",
        "training.n_processes=2",
    )  # fmt: skip
    pretrain_encoder.run(tokenize_examples(store, settings), settings)
    before, _ = read_history(settings)["epochs"]
    assert before["validation"]["perplexity"] < 5


def tokenize_examples(store: Store, settings: Settings) -> Store:
    """Return a store of the examples, tokenized with the vocabulary of the settings' encoder."""
    folder = Path(settings.paths.work) / settings.pretrain.name
    rows = store.read(EXAMPLES).drop("token_ids", "n_tokens")
    tokenized = Store(store.spark, str(folder))
    tokens = add_tokens(rows, settings.model.encoder, settings.examples.max_tokens)
    tokenized.replace(EXAMPLES, tokens)
    return tokenized


def test_pretraining_on_views_of_users_lowers_the_view_loss(store, make_settings):
    settings = make_settings(
        "pretrain.name=views", "pretrain.words_weight=0", "pretrain.views_weight=1"
    )
    pretrain_encoder.run(store, settings)
    curve = read_history(settings)["curve"]
    assert np.mean(curve[-14:]) < 0.9 * np.mean(curve[:14])  # an epoch is 14 steps


def test_a_vocabulary_holds_the_words_of_the_texts_and_is_refused_without_any(spark):
    texts = spark.createDataFrame([("red cap [SEP]",), ("Red 猫",), ("red cap",)], "text string")
    tokenizer = train_wordpiece(texts, 100, 10)
    assert {"red", "cap", "[MASK]"} <= set(tokenizer.get_vocab())
    assert tokenizer("red")["input_ids"][0] == tokenizer.cls_token_id
    with pytest.raises(InputError, match="no words to train a vocabulary on"):
        train_wordpiece(texts.where("text IS NULL"), 100, 10)


def test_a_hidden_size_that_is_no_multiple_of_the_heads_is_refused(store, make_settings):
    settings = make_settings("pretrain.name=odd", "pretrain.num_attention_heads=3")
    with pytest.raises(InputError, match="hidden_size: 32 is no multiple of pretrain.num_att"):
        pretrain_encoder.run(store, settings)


def test_the_view_loss_is_small_if_each_view_is_nearest_to_its_own_user():
    views = torch.eye(4)
    assert float(view_loss_sum(views, views)) < 0.01
    assert float(view_loss_sum(views, views.roll(1, 0))) > 30
