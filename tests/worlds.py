"""Build small worlds: tiny encoders, settings of a tiny shop, and examples with a known answer."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.tables import EXAMPLES, USER_PROFILES, Table
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.tables.table import INT, LONG, STRING, optional, required
from profile_lib.training.plan import TrainingPlan

CONF = Path(__file__).parents[1] / "conf"
NOW = datetime(2026, 1, 20, tzinfo=UTC)  # the moment at which jobs of tests run
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "view", "cart", "red", "green", "blue"]
CLS, SEP, VIEW, CART, COLOURS = 2, 3, 5, 6, {"red": 7, "green": 8, "blue": 9}
LENGTH = 16  # tokens of a text of colours, padding included

# A table of three columns with the Delta features of user_profiles.
NOTES = Table(
    "notes",
    "One number per user",
    key=("user_id",),
    rebuild_instructions="write them again",
    partition_by=("user_bucket",),
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("user_bucket", INT, "partition of the user's row"),
        optional("n", LONG, "the number"),
    ),
)


def tiny_encoder(folder: Path) -> str:
    """Save an untrained BERT of two narrow layers with the default encoder's vocabulary."""
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
    """Write the settings file of a shop of a few users, based on conf/dev.yaml."""
    raw = str(folder / "raw" / "events")
    values: dict[str, Any] = {
        "base": str(CONF / "dev.yaml"),
        "paths": {name: str(folder / name) for name in ("tables", "identity", "models", "work")},
        "simulate": {"events_path": raw, "truth_path": str(folder / "raw" / "truth")},
        "ingest": {
            "mapping": str(CONF / "sources" / "simulated.yaml"),
            "inputs": {"events": raw, "users": str(folder / "raw" / "users")},
        },
        "model": {"encoder": tiny_encoder(folder / "encoder")},
        "training": {"baseline_rows": 200, "bootstrap_resamples": 5},
    }
    for section, change in changes.items():
        values[section] = values.get(section, {}) | change
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return str(path)


def dev_settings(folder: Path, *changes: str) -> Settings:
    """Load conf/dev.yaml with work and models in `folder`, quick reports, and the changes."""
    paths = (f"paths.work={folder}/work", f"paths.models={folder}/models")
    quick = ("training.baseline_rows=200", "training.bootstrap_resamples=5")
    return load_settings(str(CONF / "dev.yaml"), [*paths, *quick, *changes])


def example_rows(n: int, **columns: Any) -> pd.DataFrame:
    """Build rows of the table `examples`, one user per minute.

    The first 60 % are train, then 20 % validation and 20 % test. Columns that are not given are
    null or zero.
    """
    start, number = pd.Timestamp("2026-01-01", tz="UTC"), np.arange(n)
    rows = {
        "user_id": [f"u{i}" for i in range(n)],
        "cutoff_ts": [start + pd.Timedelta(minutes=i) for i in range(n)],
        "split": np.where(
            number < n * 0.6, "train", np.where(number < n * 0.8, "validation", "test")
        ),
        "text": [""] * n,
        "token_ids": [[0] * 4] * n,
        "n_tokens": 1,
        "numeric": [[0.0] * len(NUMERIC_FEATURES)] * n,
        "top_category": None,
        "buys": 0,
        "spend": 0.0,
        "next_category": None,
        "next_categories": [[]] * n,
        "age_band": None,
        "gender": None,
        "attributes": None,
        "is_returning": number % 2 == 0,
        "device": np.where(number % 3 == 0, "mobile", "desktop"),
        "region": None,
        "channel": None,
        "referrer": None,
        "system": None,
        "browser": None,
        "sampling_weight": 1.0,
    }
    return pd.DataFrame(rows | columns)


def examples_store(spark: SparkSession, folder: Path, rows: pd.DataFrame) -> Store:
    """Store rows as the table `examples`."""
    store = Store(spark, str(folder))
    in_order = rows[list(EXAMPLES.schema.names)]  # Spark takes a pandas frame by position
    store.replace(EXAMPLES, spark.createDataFrame(in_order, EXAMPLES.schema))
    return store


def colour_encoder(folder: Path) -> str:
    """Save a BERT for texts of colours that trains in seconds, without dropout.

    Its vocabulary is so large that Horovod sends only the gradients of the words in a step.
    """
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20_000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return str(folder)


def colour_rows(n: int) -> pd.DataFrame:
    """Build examples whose labels follow known rules.

    A user with n_in_cart above 2, or with the word `cart` in the text, buys with probability 0.9.
    The next category is the colour of the text, and top_category equals it in half of the rows.
    """
    rng = np.random.default_rng(3)
    names = [column.name for column in NUMERIC_FEATURES]
    colours = rng.choice(list(COLOURS), n)
    has_cart = rng.random(n) < 0.2
    numeric = rng.poisson(1.0, (n, len(names))).astype(float)
    numeric[:, names.index("cart_value")] = np.nan
    may_buy = has_cart | (numeric[:, names.index("n_in_cart")] > 2)
    texts = [
        [CLS, CART if cart else VIEW, *[COLOURS[colour]] * (1 + i % 4), SEP]
        for i, (cart, colour) in enumerate(zip(has_cart, colours, strict=True))
    ]
    return example_rows(
        n,
        token_ids=[row + [0] * (LENGTH - len(row)) for row in texts],
        n_tokens=[len(row) for row in texts],
        numeric=list(numeric),
        top_category=np.where(rng.random(n) < 0.5, colours, None),
        buys=(may_buy & (rng.random(n) < 0.9)).astype(int),
        spend=np.where(may_buy, np.where(colours == "red", 9.0, 3.0), 0.0),
        next_category=np.where(rng.random(n) < 0.8, colours, None),
        next_categories=[[colour] for colour in colours],
        sampling_weight=np.where(may_buy, 1.0, 2.0),
    )


def tiny_spec(**changes: Any) -> ModelSpec:
    """Declare a model of one task and one number over ten words."""
    bert = BertConfig(
        vocab_size=10, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    spec = ModelSpec(
        tasks=(TaskSpec(name="buys", kind="binary"),), numeric=("n",), numeric_bins=2,
        numeric_hidden=4, joined_size=4, dropout=0.1, max_tokens=8, separator_id=3,
        bert=bert.to_dict(),
    )  # fmt: skip
    return spec.model_copy(update=changes)


def tiny_plan(**changes: Any) -> TrainingPlan:
    """Plan a training of one epoch."""
    values: dict[str, Any] = {
        "seed": 1, "epochs": 1, "numeric_epochs": 0, "batch_size": 4, "numeric_batch_size": 4,
        "encoder_lr": 1e-3, "head_lr": 1e-2, "numbers_lr": 0.0, "weight_decay": 0.0,
        "warmup_share": 0.1, "max_grad_norm": 1.0, "negative_downsampling_rate": 1.0,
        "progress_steps": 2,
    }  # fmt: skip
    return TrainingPlan(**values | changes)


def read_loss_curve(model: Path) -> list[float]:
    """Read the loss of each step of a training."""
    return json.loads((model / "training.json").read_text(encoding="utf-8"))["curve"]


def profile_row(user_id: str, **columns: Any) -> tuple[Any, ...]:
    """Build a row of user_profiles; other required columns get empty values."""
    empty_values = {
        T.StringType: "", T.IntegerType: 0, T.LongType: 0, T.DoubleType: 0.0,
        T.TimestampType: datetime(2026, 1, 1), T.MapType: {}, T.ArrayType: [],
    }  # fmt: skip
    values = {c.name: empty_values[type(c.type)] for c in USER_PROFILES.columns if c.required}
    values |= {"user_id": user_id, **columns}
    return tuple(values.get(name) for name in USER_PROFILES.column_names())
