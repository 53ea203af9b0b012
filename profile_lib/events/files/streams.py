"""Open files of any file system, decompress them by content, and decode their text.

This runs in Python workers, one file at a time, in blocks: the size of a file is not limited.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa

from profile_lib.errors import InputError

BLOCK_BYTES = 2**23
MAGIC_BYTES = 6  # enough to recognise a compression or a byte-order mark
COMPRESSIONS = {  # first bytes of a file → compression
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
BYTE_ORDER_MARKS = {  # the longest first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
CUT_OFF = "the file ends too early: it was cut off while it was written or copied"
# A path of Hadoop: its characters are not escaped, so that `#`, `?` and `%` have no meaning.
URI = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*):(//(?P<host>[^/]*))?(?P<path>/.*)", re.DOTALL)


@contextmanager
def open_bytes(path: str, unpack: bool = True) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed if its first bytes say that it is compressed.

    Without `unpack` the bytes are as they are stored. `path` is a local path or a URI of a file
    system that fsspec knows. Raises InputError if the content is cut off, damaged or compressed in
    a way that is not read.
    """
    with explain_damage(path), _open_raw(path) as raw:
        first_bytes = raw.peek(MAGIC_BYTES)[:MAGIC_BYTES] if unpack else b""
        compression = find_compression(first_bytes)
        yield _decompress(raw, compression, path)


@contextmanager
def explain_damage(path: str) -> Iterator[None]:
    """Replace errors about damaged content in the body by InputError."""
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path} cannot be read: {os.strerror(error.errno)}") from error
        is_cut_off = isinstance(error, EOFError) or "runcated" in str(error)
        reason = CUT_OFF if is_cut_off else "the compressed content is damaged"
        raise InputError(f"{path} cannot be read: {reason}; copy it again") from error


def find_compression(first_bytes: bytes) -> str | None:
    """Return the compression that a file's first bytes show; None if there is none.

    >>> find_compression(b"BZh91A"), find_compression(b"uid,ts")
    ('bz2', None)
    """
    found = (name for magic, name in COMPRESSIONS.items() if first_bytes.startswith(magic))
    return next(found, None)


def find_encoding(first_bytes: bytes, declared: str) -> str:
    """Return the encoding that a byte-order mark shows, else the declared one.

    Without a mark, UTF-16 and UTF-32 are little-endian, as the WHATWG's Encoding Standard has it.

    >>> find_encoding(b"\\xff\\xfeu\\x00", "latin-1"), find_encoding(b"uid", "latin-1")
    ('utf-16', 'latin-1')
    """
    marked = (name for mark, name in BYTE_ORDER_MARKS.items() if first_bytes.startswith(mark))
    return next(marked, f"{declared}-le" if declared in ("utf-16", "utf-32") else declared)


def _open_raw(path: str) -> io.BufferedReader:
    uri = URI.fullmatch(path)
    if uri is None or uri["scheme"] == "file":
        return open(path if uri is None else uri["path"], "rb")  # noqa: SIM115
    if uri["scheme"] == "dbfs":
        return open(f"/dbfs{uri['path']}", "rb")  # noqa: SIM115
    from fsspec.core import url_to_fs

    scheme = {"s3a": "s3", "s3n": "s3"}.get(uri["scheme"], uri["scheme"])
    files, file = url_to_fs(f"{scheme}://{uri['host'] or ''}{uri['path']}")
    return io.BufferedReader(files.open(file, "rb"))


def _decompress(raw: BinaryIO, compression: str | None, path: str) -> BinaryIO:
    match compression:
        case None:
            return raw
        case "gzip":
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        case "bz2":
            return cast(BinaryIO, bz2.BZ2File(raw))
        case "xz":
            return cast(BinaryIO, lzma.LZMAFile(raw))
        case "zstd":
            return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))
    raise InputError(
        f"{path} cannot be read: its content is {compression}, wanted plain, gzip, bz2, zstd or "
        "xz; unpack it first"
    )


class BlockStream(io.RawIOBase):
    """A stream of the bytes that an iterator yields in blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fill the buffer; return the number of bytes, 0 at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n


def buffered(blocks: Iterator[bytes]) -> BinaryIO:
    """Return a stream of the bytes that an iterator yields."""
    return io.BufferedReader(BlockStream(blocks), BLOCK_BYTES)


def read_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a stream's bytes in blocks."""
    while block := stream.read(BLOCK_BYTES):
        yield block


def to_utf8(stream: BinaryIO, declared: str) -> BinaryIO:
    """Return the stream's text as valid UTF-8 bytes without a byte-order mark.

    A byte-order mark takes precedence over the declared encoding. Bytes that are invalid in the
    encoding become U+FFFD.
    """
    source = io.BufferedReader(stream, BLOCK_BYTES)  # type: ignore[type-var]
    encoding = find_encoding(source.peek(MAGIC_BYTES)[:MAGIC_BYTES], declared)
    return buffered(_encode_blocks(source, encoding))


def _encode_blocks(source: BinaryIO, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for block in read_blocks(source):
        yield decoder.decode(block).encode(errors="replace")  # UTF-7 can hold half a character
    yield decoder.decode(b"", final=True).encode(errors="replace")
