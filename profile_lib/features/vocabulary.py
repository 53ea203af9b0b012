"""Train a tokenizer on texts of any language."""

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer, PreTrainedTokenizerBase

from profile_lib.errors import InputError

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_wordpiece(texts: DataFrame, size: int, max_texts: int) -> PreTrainedTokenizerBase:
    """Train a WordPiece tokenizer (Wu et al. 2016) on the column `text`.

    It has at most `size` tokens. At most `max_texts` distinct texts, chosen by hash sampling,
    stream through the driver, which stores only word counts. As in BERT, each Chinese character is
    a word, and Latin letters are lower-cased. Raises InputError if there is no text.
    """
    distinct = texts.select("text").where(F.length("text") > 0).distinct()
    sampled = distinct.orderBy(F.xxhash64("text"), "text").limit(max_texts)
    tokenizer = BertWordPieceTokenizer(lowercase=True, handle_chinese_chars=True)
    tokenizer.train_from_iterator(
        _texts(sampled),
        vocab_size=size,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS,
        show_progress=False,
    )
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) <= len(SPECIAL_TOKENS):
        raise InputError(
            "examples: the column text has no words to train a vocabulary on; run build_examples "
            "on events with titles, queries or categories"
        )
    return BertTokenizer(vocab=vocabulary, do_lower_case=True)


def _texts(frame: DataFrame) -> Iterator[str]:
    """Yield the texts without the separator, which must not become part of a word."""
    for row in frame.toLocalIterator():
        yield row["text"].replace("[SEP]", " ")
