"""Read the heads of files, and recognise their format and encoding."""

import codecs
from collections.abc import Sequence
from typing import NamedTuple

from charset_normalizer import from_bytes

from profile_lib.errors import InputError
from profile_lib.events.files.streams import MAGIC_BYTES, find_encoding, open_bytes

PARQUET_MAGIC = b"PAR1"
OTHER_FORMATS = {b"ORC": "ORC", b"Obj\x01": "Avro", b"\xd0\xcf\x11\xe0": "an old Excel file"}
JSON_STARTS = ("{", "[")
# Encodings that are tried, besides UTF-8 and those with a byte-order mark.
ENCODINGS = ["gb18030", "big5", "shift_jis", "euc_kr", "cp1252", "cp1251", "cp1250", "utf_16_le"]
PROBED_BYTES = 2**16  # of text beyond ASCII, from which the encoding is recognised
MIN_SHARE_OF_NULS = 0.2  # UTF-16 of Latin letters has a NUL in half of its bytes


class Head(NamedTuple):
    """The first bytes of a file, decompressed."""

    path: str
    content: bytes
    is_parquet: bool = False
    is_cut: bool = False  # whether the file has more


def read_head(path: str, n_bytes: int) -> Head:
    """Read the first bytes of a file. Raises InputError if its content cannot be read."""
    with open_bytes(path) as stream:
        content, is_cut = stream.read(n_bytes), bool(stream.read(1))
    for magic, name in OTHER_FORMATS.items():
        if content.startswith(magic):
            raise InputError(
                f"draft.path: {path} is {name}, wanted CSV, JSON, Parquet or Delta; convert it, or "
                "add its format as docs/extending.md shows"
            )
    return Head(path, content, content.startswith(PARQUET_MAGIC), is_cut)


class Text(NamedTuple):
    """A decoded head, and how sure its encoding is, from 0 to 1."""

    text: str
    encoding: str
    certainty: float


def decode(content: bytes) -> Text:
    """Decode the head of a text file, without a character cut at its end.

    A byte-order mark is certain, and valid UTF-8 nearly so. Other encodings are recognised by the
    frequencies of their characters. Raises InputError if the content is no text.
    """
    marked = find_encoding(content[:MAGIC_BYTES], "")
    if marked:
        return Text(_decode_head(content, marked), marked.removesuffix("-sig"), 1.0)
    try:
        return Text(_decode_head(content, "utf-8"), "utf-8", 0.99)
    except UnicodeDecodeError:
        encoding = _recognise(_lines_beyond_ascii(content))
    try:
        return Text(_decode_head(content, encoding), encoding, 0.7)
    except UnicodeDecodeError:
        return Text(content.decode("latin-1"), "latin-1", 0.3)


def is_binary(content: bytes) -> bool:
    """Return whether content is neither text in one byte per letter nor UTF-16.

    >>> is_binary(b"uid,ts"), is_binary("uid".encode("utf-16-le")), is_binary(bytes(range(16)) * 9)
    (False, False, True)
    """
    n_nuls = content.count(0)
    return n_nuls > 0 and n_nuls < MIN_SHARE_OF_NULS * len(content)


def _decode_head(content: bytes, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    text = decoder.decode(content, final=False)
    if "\0" in text:
        raise UnicodeDecodeError(encoding, content, 0, 1, "NUL characters")
    return text


def _lines_beyond_ascii(content: bytes) -> bytes:
    if content.count(0) >= MIN_SHARE_OF_NULS * len(content):
        return content[:PROBED_BYTES]
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    return b"\n".join(lines)[:PROBED_BYTES]


def _recognise(content: bytes) -> str:
    """Return the encoding by which the text looks most like a language."""
    ranks = [
        (match.chaos, -match.coherence, ENCODINGS.index(name))
        for match in from_bytes(content, cp_isolation=ENCODINGS)
        for name in match.could_be_from_charset
    ]
    return codecs.lookup(ENCODINGS[min(ranks)[2]] if ranks else "cp1252").name


def find_format(heads: Sequence[Head], texts: Sequence[Text]) -> str:
    """Return the name of the format that files have: parquet, jsonl or csv."""
    if any(head.is_parquet for head in heads):
        return "parquet"
    starts = [text.text.lstrip()[:1] for text in texts if text.text.strip()]
    return "jsonl" if starts and all(start in JSON_STARTS for start in starts) else "csv"
