"""Texts in, token ids out: each distinct text is tokenized once, in Arrow batches."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from tokenizers import Tokenizer

from profile_lib.errors import InputError
from profile_lib.spark.workers import freeze_loaded_modules

TOKENS = T.StructType(
    [
        T.StructField("token_ids", T.ArrayType(T.IntegerType())),
        T.StructField("n_tokens", T.IntegerType()),
    ]
)


def add_tokens(frame: DataFrame, encoder: str, max_tokens: int) -> DataFrame:
    """`frame` with `token_ids` and `n_tokens` of its column `text`; each text is tokenized once."""
    tokens = build_tokenize_udf(encoder, max_tokens)("text")
    distinct = frame.select("text").distinct().withColumn("tokens", tokens)
    return frame.join(distinct.select("text", "tokens.*"), "text")


def build_tokenize_udf(encoder: str, max_tokens: int) -> Callable[[str], Column]:
    """A function of a text column, by its name, to a column of TOKENS.

    `encoder` is a folder or hub name with a tokenizer. Ids are cut at `max_tokens` and padded to
    it with the padding id, so that all arrays have one length; `n_tokens` is the true length.
    Raises InputError where the tokenizer knows no padding.
    """

    as_json, padding_id = _load_tokenizer(encoder)
    if padding_id is None:
        raise InputError(f"{encoder}: its tokenizer names no padding token; wanted a BERT's")

    @F.pandas_udf(TOKENS)  # type: ignore[call-overload]
    def tokenize(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        freeze_loaded_modules()
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # Spark's tasks fill the cores already
        fast = Tokenizer.from_str(as_json)
        fast.enable_truncation(max_tokens)
        fast.enable_padding(length=max_tokens, pad_id=padding_id)
        for texts in batches:
            encoded = fast.encode_batch(texts.tolist())
            yield pd.DataFrame(
                {
                    "token_ids": [row.ids for row in encoded],
                    "n_tokens": [sum(row.attention_mask) for row in encoded],
                }
            )

    return tokenize


def _load_tokenizer(encoder: str) -> tuple[str, int | None]:
    """A tokenizer as JSON, and its padding id."""
    path, padding = Path(encoder) / "tokenizer.json", _padding_token(Path(encoder))
    if path.is_file() and padding is not None:  # without the seconds that transformers takes
        as_json = path.read_text(encoding="utf-8")
        return as_json, Tokenizer.from_str(as_json).token_to_id(padding)
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(encoder)
    return saved.backend_tokenizer.to_str(), saved.pad_token_id


def _padding_token(folder: Path) -> str | None:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return None
    token = json.loads(path.read_text(encoding="utf-8")).get("pad_token")
    return token["content"] if isinstance(token, dict) else token
