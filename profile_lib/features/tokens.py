"""Texts in, token ids out: each distinct text is tokenized once, in Arrow batches."""

import os
from collections.abc import Callable, Iterator

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from tokenizers import Tokenizer

from profile_lib.workers import settle

TOKENS = T.StructType(
    [
        T.StructField("token_ids", T.ArrayType(T.IntegerType())),
        T.StructField("n_tokens", T.IntegerType()),
    ]
)


def add_tokens(frame: DataFrame, encoder: str, max_tokens: int) -> DataFrame:
    """`frame` with `token_ids` and `n_tokens` of its column `text`; each text is tokenized once."""
    tokens = tokenizer(encoder, max_tokens)("text")
    distinct = frame.select("text").distinct().withColumn("tokens", tokens)
    return frame.join(distinct.select("text", "tokens.*"), "text")


def tokenizer(encoder: str, max_tokens: int) -> Callable[[str], Column]:
    """A function of a text column, by its name, to a column of TOKENS.

    `encoder` is a folder or hub name with a tokenizer. Ids are cut at `max_tokens` and padded to
    it with the padding id, so that all arrays have one length; `n_tokens` is the true length.
    """

    from transformers import AutoTokenizer  # heavy, and of no use to the workers

    saved = AutoTokenizer.from_pretrained(encoder)
    as_json, padding_id = saved.backend_tokenizer.to_str(), saved.pad_token_id

    @F.pandas_udf(TOKENS)  # type: ignore[call-overload]
    def tokenize(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        settle()
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
