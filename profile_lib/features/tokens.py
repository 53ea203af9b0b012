"""Texts in, token ids out: each distinct text is tokenized once, in Arrow batches."""

from collections.abc import Iterator

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

TOKENS = T.StructType(
    [
        T.StructField("token_ids", T.ArrayType(T.IntegerType())),
        T.StructField("n_tokens", T.IntegerType()),
    ]
)


def add_tokens(frame: DataFrame, encoder: str, max_tokens: int) -> DataFrame:
    """`frame` with `token_ids` and `n_tokens` of its column `text`.

    `encoder` is a folder or hub name with a tokenizer. Ids are cut at `max_tokens` and padded to
    it with the padding id, so that all arrays have one length; `n_tokens` is the true length.
    """

    @F.pandas_udf(TOKENS)  # type: ignore[call-overload]
    def tokenize(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(encoder)
        for texts in batches:
            ids = tokenizer(texts.tolist(), truncation=True, max_length=max_tokens)["input_ids"]
            padding = [tokenizer.pad_token_id] * max_tokens
            yield pd.DataFrame(
                {
                    "token_ids": [row + padding[len(row) :] for row in ids],
                    "n_tokens": [len(row) for row in ids],
                }
            )

    distinct = frame.select("text").distinct().withColumn("tokens", tokenize("text"))
    return frame.join(distinct.select("text", "tokens.*"), "text")
