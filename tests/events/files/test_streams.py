"""Check that files are opened by their content, whatever their name, encoding or compression."""

import bz2
import codecs
import gzip
import lzma
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from profile_lib.errors import InputError
from profile_lib.events.files.streams import open_bytes, to_utf8

TEXT = b"uid,ts\nann,2024-03-01\n" * 2_000


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


COMPRESSIONS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}


def write(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def read(path: str) -> bytes:
    with open_bytes(path) as stream:
        return stream.read()


def decode(content: bytes, declared: str = "utf-8", folder: Path | None = None) -> str:
    with pa.BufferReader(content) as stream:
        return to_utf8(stream, declared).read().decode()


@pytest.mark.parametrize("suffix", [".csv", "", ".gz", ".zip"])
@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_a_compression_is_recognised_by_content_whatever_the_name_says(tmp_path, compress, suffix):
    assert read(write(tmp_path, f"events{suffix}", compress(TEXT))) == TEXT


def test_a_plain_file_named_gz_is_read_as_it_is(tmp_path):
    assert read(write(tmp_path, "events.csv.gz", TEXT)) == TEXT


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_several_compressed_parts_in_one_file_are_read_one_after_the_other(tmp_path, compress):
    assert read(write(tmp_path, "events", compress(b"one\n") + compress(b"two\n"))) == b"one\ntwo\n"


def test_a_zip_archive_is_refused_with_what_to_do(tmp_path):
    path = write(tmp_path, "events.csv", b"PK\x03\x04 rest of an archive")
    message = (
        f"{path} cannot be read: its content is zip, wanted plain, gzip, bz2, zstd or xz; unpack "
        "it first"
    )
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == message


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_a_file_that_was_cut_off_is_named_in_one_sentence(tmp_path, compress):
    content = compress(TEXT)
    path = write(tmp_path, "events", content[: len(content) * 2 // 3])
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == (
        f"{path} cannot be read: the file ends too early: it was cut off while it was written or "
        "copied; copy it again"
    )


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_a_damaged_file_is_named_in_one_sentence_without_its_content(tmp_path, compress):
    content = bytearray(compress(TEXT))
    content[len(content) // 2 :] = b"\xff\x00secret" * (len(content) // 16 + 1)
    path = write(tmp_path, "events", bytes(content))
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == (
        f"{path} cannot be read: the compressed content is damaged; copy it again"
    )


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in [
        (tmp_path / "nothing.csv", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(InputError) as error:
            read(str(path))
        assert str(error.value) == f"{path} cannot be read: {reason}"


NAMES = ["a b.csv", "a%20b.csv", "a#b.csv", "a?b.csv", "a+b&c.csv", "käse€.csv", "a[1]{2}*.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_as_spark_writes_it_has_no_escaped_characters(tmp_path, name):
    write(tmp_path, name, TEXT)
    assert read(f"file:{tmp_path}/{name}") == read(f"file://{tmp_path}/{name}") == TEXT


def test_a_path_of_another_file_system_is_opened_by_fsspec():
    with fsspec.open("memory://shop/a%20b#.csv.gz", "wb") as file:
        file.write(gzip.compress(TEXT))
    assert read("memory://shop/a%20b#.csv.gz") == TEXT


ENCODED = [
    ("Größe", "utf-8", "Größe".encode()),
    ("Größe", "latin-1", "Größe".encode("latin-1")),
    ("€", "cp1252", b"\x80"),
    ("尺寸", "gb18030", "尺寸".encode("gb18030")),
    ("尺寸", "utf-16", "尺寸".encode("utf-16-le")),
    ("尺寸", "utf-16-be", "尺寸".encode("utf-16-be")),
    ("尺寸", "utf-32", "尺寸".encode("utf-32-le")),
    ("\U0001f600" * 5, "utf-16-le", ("\U0001f600" * 5).encode("utf-16-le")),
    ("Gr�", "utf-8", "Grö".encode("latin-1")),
    ("a?", "utf-7", b"a+2AA-"),
    ("", "utf-16", b""),
]


@pytest.mark.parametrize(("text", "declared", "content"), ENCODED)
def test_text_is_decoded_as_declared_and_invalid_bytes_are_marked(text, declared, content):
    assert decode(content, declared) == text


BYTE_ORDER_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("declared", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("encoding", BYTE_ORDER_MARKS)
def test_a_byte_order_mark_takes_precedence_and_is_no_text(encoding, declared):
    assert decode(BYTE_ORDER_MARKS[encoding] + "Größe".encode(encoding), declared) == "Größe"


def test_a_character_across_two_blocks_is_decoded_once(monkeypatch):
    monkeypatch.setattr("profile_lib.events.files.streams.BLOCK_BYTES", 5)
    text = "Größe 尺寸 \U0001f600 " * 20
    for encoding in ("utf-8", "utf-16-le", "gb18030"):
        assert decode(text.encode(encoding), encoding) == text
