"""Texts in, counted words out: stemmed, without stop words, English and Chinese."""

from collections.abc import Iterator
from functools import lru_cache

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F

STRINGS = "array<string>"
MAX_WORDS = 30  # words of one text: a title has fewer
CACHED_TEXTS = 2**14  # texts whose words a task remembers


def extract_keywords(text: Column) -> Column:
    """The counted words of each text in order, each once; none for null. Arrow batches.

    Of texts that are alike in a batch, or come again soon, one is cut.
    """

    @F.pandas_udf(STRINGS)  # type: ignore[call-overload]
    def count_words(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        cut = lru_cache(maxsize=CACHED_TEXTS)(split_words)
        for texts in batches:
            code, distinct = pd.factorize(texts)
            words = pd.Series([*map(cut, distinct), []], dtype=object)  # code -1 is null
            yield words.iloc[code].reset_index(drop=True)

    return count_words(text)


def split_words(text: str) -> list[str]:
    """Stems of a text's words; Chinese is cut by jieba, Latin letters are stemmed by Snowball.

    >>> split_words("The Running Shoes for men, 红色 的 运动鞋")
    ['run', 'shoe', 'men', '红色', '运动鞋']
    """
    jieba, stemmer, stop = _tools()
    words = (w.strip().lower() for w in jieba.cut(text))
    counted = [w for w in words if any(c.isalnum() for c in w) and w not in stop]
    stems = [stemmer.stemWord(w) if w.isascii() else w for w in counted]
    return list(dict.fromkeys(stems))[:MAX_WORDS]


@lru_cache(maxsize=1)
def _tools():  # type: ignore[no-untyped-def]  # none of the three has types
    """jieba's default cutter, the Snowball stemmer and both languages' stop words, loaded once."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's import speaks of setuptools' plans
        import jieba
    import snowballstemmer
    from stopwordsiso import stopwords

    jieba.setLogLevel(logging.WARNING)
    # Clothes for men and women are categories of a shop, not fillers.
    stop = stopwords(["en", "zh"]) - {"men", "man", "women", "woman", "home", "work"}
    return jieba.Tokenizer(), snowballstemmer.stemmer("english"), frozenset(stop)
