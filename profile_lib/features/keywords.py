"""Extract keywords from texts: stems that match, and forms to show."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pandas as pd
import regex
from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.texts.function_words import CHINESE, ENGLISH, FUNCTION_WORDS, JAPANESE
from profile_lib.texts.languages import language_of
from profile_lib.texts.normalisation import EMOJI, normalise

KEYWORDS_TYPE = "stems array<string>, forms array<string>"
MAX_WORDS = 30  # per text; a title has fewer
CACHED_TEXTS = 2**14  # per task
CACHED_WORDS = 2**15  # per process; Snowball is slow
ALWAYS_DROPPED = ENGLISH | CHINESE | JAPANESE

# Apostrophes, ampersands and joiners belong to a word (H&M), and a comma or point to a number.
_LETTER = r"[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}ー]]"
_PART = rf"{_LETTER}++(?:(?:['’´ʼ&\u200C\u200D]|(?<=\p{{Nd}})[.,](?=\p{{Nd}})){_LETTER}++)*+"
# Chinese is split by a dictionary, which also holds words such as T恤, and kana by their kind; a
# single hiragana is a particle or the end of a word.
TOKEN = regex.compile(
    rf"(?P<emoji>{EMOJI})"
    r"|(?P<chinese>[A-Za-z0-9]*+\p{Han}[\p{Han}A-Za-z0-9]*+)"
    r"|[\p{Hiragana}ー\u3099\u309A]{2,}+|[\p{Katakana}ー\u3099\u309A]++"
    rf"|(?P<word>{_PART}(?:[-‐‑]{_PART})*)",
    regex.VERSION1,
)
HYPHEN = regex.compile("[-‐‑]")
APOSTROPHES = str.maketrans("’´ʼ", "'''", "\u200c\u200d")


class Keyword(NamedTuple):
    """A keyword: equal stems match, and people see the form as written."""

    stem: str
    form: str


def extract_keywords(text: Column) -> Column:
    """Return the keywords of each text as a struct (stems, forms).

    Both are arrays of equal length, in the order of `split_words`, and empty for null. A task
    caches the last CACHED_TEXTS distinct texts, so that equal texts are split only once.
    """

    @F.pandas_udf(KEYWORDS_TYPE)  # type: ignore[call-overload]
    def split_texts(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        split_cached = lru_cache(maxsize=CACHED_TEXTS)(split_words)
        for texts in batches:
            code, distinct = pd.factorize(texts)
            keywords = [*map(split_cached, distinct), []]  # code -1 is null
            columns = {
                "stems": pd.Series([[k.stem for k in found] for found in keywords], dtype=object),
                "forms": pd.Series([[k.form for k in found] for found in keywords], dtype=object),
            }
            yield pd.DataFrame(columns).iloc[code].reset_index(drop=True)

    return split_texts(text)


def split_words(text: str) -> list[Keyword]:
    """Split a text into the keywords of its words, in order, each stem once.

    Function words of English, Chinese, Japanese and of the language of the text are left out, and
    so are emoji. A stem is in lower case and in the form NFKC. English words and others in plain
    Latin letters are stemmed by Snowball; words with accents and in other alphabets stay whole. A
    word with one hyphen is one keyword; a chain of more is split. jieba splits Chinese, and its
    stems are in simplified characters. At most MAX_WORDS keywords are returned.

    >>> [keyword.stem for keyword in split_words("The Running Shoes for men, 紅色 的 運動鞋")]
    ['run', 'shoe', 'men', '红色', '运动鞋']
    >>> split_words("Café T-Shirts")
    [Keyword(stem='café', form='Café'), Keyword(stem='t-shirt', form='T-Shirts')]
    """
    text = normalise(text)
    dropped = FUNCTION_WORDS.get(language_of(text) or "", ENGLISH)
    keywords: dict[str, Keyword] = {}
    for word, form in _cut(text):
        if word not in ALWAYS_DROPPED and word not in dropped:
            stem = _stem(word)
            keywords.setdefault(stem, Keyword(stem, form))
    return list(keywords.values())[:MAX_WORDS]


def _cut(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word, folded and as written.

    A folded word is in lower case and NFKC, and Chinese is in simplified characters.
    """
    for token in TOKEN.finditer(text):
        written = token[0]
        if token["emoji"]:
            continue
        if token["chinese"]:
            yield from _cut_chinese(written)
        elif token["word"] and len(parts := HYPHEN.split(written)) > 2:
            yield from ((_fold(part), part) for part in parts)
        else:
            yield _fold(written), written


def _cut_chinese(text: str) -> Iterator[tuple[str, str]]:
    tokenizer, converter, _ = _load_tools()
    simplified = converter.convert(text)
    is_aligned = len(simplified) == len(text)
    start = 0
    for word in tokenizer.cut(simplified.upper()):  # the dictionary has T恤, not t恤
        end = start + len(word)
        yield word.lower(), (text if is_aligned else simplified)[start:end]
        start = end


def _fold(word: str) -> str:
    """Return the word in lower case and NFKC, without joiners or curly apostrophes."""
    return unicodedata.normalize("NFKC", word.translate(APOSTROPHES).lower())


@lru_cache(maxsize=CACHED_WORDS)
def _stem(word: str) -> str:
    stemmer = _load_tools()[2]
    return stemmer.stemWord(word) if word.isascii() else word.removesuffix("'s")


@lru_cache(maxsize=1)
def _load_tools():  # type: ignore[no-untyped-def]  # none of the three has types
    """Load the tokenizer, the converter to simplified Chinese and the stemmer."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba imports a deprecated module of setuptools
        import jieba
    import snowballstemmer
    from opencc import OpenCC

    jieba.setLogLevel(logging.WARNING)
    return jieba.Tokenizer(), OpenCC("t2s"), snowballstemmer.stemmer("english")
