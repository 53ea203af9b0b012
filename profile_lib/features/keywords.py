"""Extract keywords from English and Chinese texts: word stems without stop words."""

from collections.abc import Iterator
from functools import lru_cache

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F

STRINGS = "array<string>"
MAX_WORDS = 30  # per text; a title has fewer
CACHED_TEXTS = 2**14  # per task


def extract_keywords(text: Column) -> Column:
    """Return the distinct keywords of each text, in order; an empty array for null.

    A task caches the last CACHED_TEXTS distinct texts, so that equal texts are split only once.
    """

    @F.pandas_udf(STRINGS)  # type: ignore[call-overload]
    def split_texts(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        split_cached = lru_cache(maxsize=CACHED_TEXTS)(split_words)
        for texts in batches:
            code, distinct = pd.factorize(texts)
            words = pd.Series([*map(split_cached, distinct), []], dtype=object)  # code -1 is null
            yield words.iloc[code].reset_index(drop=True)

    return split_texts(text)


def split_words(text: str) -> list[str]:
    """Split a text into the distinct stems of its words, without stop words.

    jieba splits Chinese, and Snowball stems English. At most MAX_WORDS stems are returned.

    >>> split_words("The Running Shoes for men, 红色 的 运动鞋")
    ['run', 'shoe', 'men', '红色', '运动鞋']
    """
    jieba, stemmer, stop_words = _load_tools()
    words = (w.strip().lower() for w in jieba.cut(text))
    content_words = [w for w in words if any(c.isalnum() for c in w) and w not in stop_words]
    stems = [stemmer.stemWord(w) if w.isascii() else w for w in content_words]
    return list(dict.fromkeys(stems))[:MAX_WORDS]


@lru_cache(maxsize=1)
def _load_tools():  # type: ignore[no-untyped-def]  # none of the three has types
    """Load jieba's tokenizer, the Snowball stemmer and the stop words of both languages once."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba imports a deprecated module of setuptools
        import jieba
    import snowballstemmer
    from stopwordsiso import stopwords

    jieba.setLogLevel(logging.WARNING)
    # These words are not stop words in a shop, because they name categories.
    stop_words = stopwords(["en", "zh"]) - {"men", "man", "women", "woman", "home", "work"}
    return jieba.Tokenizer(), snowballstemmer.stemmer("english"), frozenset(stop_words)
