"""Texts in, a tokenizer whose words are theirs out: no word list of another language is needed."""

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer, PreTrainedTokenizerBase

from profile_lib.errors import InputError

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_wordpiece(texts: DataFrame, size: int, max_texts: int) -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer (Wu et al. 2016) of at most `size` words, trained on column `text`.

    At most `max_texts` distinct texts, drawn by their hash, pass the driver one after the other;
    what is kept is the count of their words. Chinese characters are words of their own, Latin
    letters are lowered, as in BERT. Raises InputError where there is no text.
    """
    distinct = texts.select("text").where(F.length("text") > 0).distinct()
    drawn = distinct.orderBy(F.xxhash64("text"), "text").limit(max_texts)
    trained = BertWordPieceTokenizer(lowercase=True, handle_chinese_chars=True)
    trained.train_from_iterator(
        _texts(drawn),
        vocab_size=size,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS,
        show_progress=False,
    )
    vocabulary = trained.get_vocab()
    if len(vocabulary) <= len(SPECIAL_TOKENS):
        raise InputError(
            "examples: no words in text, which a vocabulary could be trained on; run "
            "build_examples on events with titles, queries or categories"
        )
    return BertTokenizer(vocab=vocabulary, do_lower_case=True)


def _texts(frame: DataFrame) -> Iterator[str]:
    """The texts without the separator, which is no word."""
    for row in frame.toLocalIterator():
        yield row["text"].replace("[SEP]", " ")
