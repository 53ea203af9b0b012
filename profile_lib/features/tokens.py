"""Tokenize behaviour texts in Arrow batches, each distinct text once."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from tokenizers import Tokenizer

from profile_lib.errors import InputError
from profile_lib.features.text import SEPARATOR
from profile_lib.spark.workers import freeze_loaded_modules

TOKENS = T.StructType(
    [
        T.StructField("token_ids", T.ArrayType(T.IntegerType())),
        T.StructField("n_tokens", T.IntegerType()),
    ]
)


def add_tokens(frame: DataFrame, encoder: str, max_tokens: int) -> DataFrame:
    """Add the columns of TOKENS for the column `text`; each distinct text is tokenized once.

    Parameters and errors are those of `build_tokenize_udf`.
    """
    tokens = build_tokenize_udf(encoder, max_tokens)("text")
    distinct = frame.select("text").distinct().withColumn("tokens", tokens)
    return frame.join(distinct.select("text", "tokens.*"), "text")


def build_tokenize_udf(encoder: str, max_tokens: int) -> Callable[[str], Column]:
    """Return a UDF that tokenizes a text column to structs of TOKENS.

    `encoder` is a folder or Hugging Face name with a tokenizer. `token_ids` are cut after
    `max_tokens` or padded to that length; `n_tokens` is the length without padding. The separator
    of events in the texts is replaced by the tokenizer's own. Raises InputError if the tokenizer
    has no padding token.
    """
    as_json, padding_id, separator = _load_tokenizer(encoder)
    if padding_id is None:
        raise InputError(
            f"{encoder}: the tokenizer has no padding token; wanted a tokenizer such as BERT's"
        )

    @F.pandas_udf(TOKENS)  # type: ignore[call-overload]
    def tokenize(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        freeze_loaded_modules()
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # Spark's tasks fill the cores already
        fast = Tokenizer.from_str(as_json)
        fast.enable_truncation(max_tokens)
        fast.enable_padding(length=max_tokens, pad_id=padding_id)
        for texts in batches:
            encoded = fast.encode_batch([_use_separator(text, separator) for text in texts])
            yield pd.DataFrame(
                {
                    "token_ids": [row.ids for row in encoded],
                    "n_tokens": [sum(row.attention_mask) for row in encoded],
                }
            )

    return tokenize


def _use_separator(text: str, separator: str | None) -> str:
    """Replace SEPARATOR by another token, after removing that token from the text.

    >>> _use_separator("likes </s> red [SEP] view", "</s>")
    'likes   red </s> view'
    """
    if separator in (None, SEPARATOR.strip()):
        return text
    return text.replace(separator, " ").replace(SEPARATOR, f" {separator} ")


class _SavedTokenizer(NamedTuple):
    as_json: str
    padding_id: int | None
    separator: str | None


def _load_tokenizer(encoder: str) -> _SavedTokenizer:
    path = Path(encoder) / "tokenizer.json"
    padding, separator = _special_tokens(Path(encoder), "pad_token", "sep_token")
    # Reading the file directly avoids the seconds that transformers takes to import.
    if path.is_file() and padding is not None:
        as_json = path.read_text(encoding="utf-8")
        padding_id = Tokenizer.from_str(as_json).token_to_id(padding)
        return _SavedTokenizer(as_json, padding_id, separator)
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(encoder)
    as_json = saved.backend_tokenizer.to_str()
    return _SavedTokenizer(as_json, saved.pad_token_id, saved.sep_token)


def _special_tokens(folder: Path, *names: str) -> list[str | None]:
    """Return these special tokens from the tokenizer's config; None if it lacks one."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    tokens = [config.get(name) for name in names]
    return [token["content"] if isinstance(token, dict) else token for token in tokens]
