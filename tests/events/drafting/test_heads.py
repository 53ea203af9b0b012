"""Check how the format and the encoding of files are recognised."""

import gzip

import pytest

from profile_lib.errors import InputError
from profile_lib.events.drafting.heads import Text, decode, find_format, is_binary, read_head

CHINESE = "名称,价格\n红色杯子质量非常好，物流快,12\n" * 5
GERMAN = "Größe;Preis\nKäse für Gäste;12,5\n" * 5
RUSSIAN = "товар;цена\nкрасная чашка;12,5\n" * 5


@pytest.mark.parametrize(
    ("text", "written_in", "found"),
    [
        (GERMAN, "utf-8", ("utf-8", 0.99)),
        (GERMAN, "utf-8-sig", ("utf-8", 1.0)),
        (GERMAN, "utf-16", ("utf-16", 1.0)),
        (GERMAN, "utf-16-le", ("utf-16-le", 0.7)),
        (GERMAN, "latin-1", ("cp1252", 0.7)),
        (RUSSIAN, "cp1251", ("cp1251", 0.7)),
        (CHINESE, "gb18030", ("gb18030", 0.7)),
    ],
)
def test_the_encoding_of_a_text_is_recognised(text, written_in, found):
    assert decode(text.encode(written_in)) == Text(text, *found)


def test_a_character_that_was_cut_at_the_end_of_a_head_is_left_out():
    assert decode("杯".encode()[:-1] + b"") == Text("", "utf-8", 0.99)
    assert decode("a杯子".encode()[:-1]).text == "a杯"


@pytest.mark.parametrize(
    ("texts", "found"),
    [(['{"a": 1}\n'], "jsonl"), (["  [\n{}]"], "jsonl"), (["a,b\n", "{}\n"], "csv"), ([""], "csv")],
)
def test_a_format_is_recognised_by_how_all_texts_begin(texts, found):
    assert find_format([], [Text(text, "utf-8", 1.0) for text in texts]) == found


def test_a_head_is_decompressed_whatever_the_name_of_its_file(tmp_path):
    (tmp_path / "events").write_bytes(gzip.compress(b"uid,ts\n" * 1_000))
    assert read_head(str(tmp_path / "events"), 10).content == b"uid,ts\nuid"


def test_a_file_of_another_format_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "events").write_bytes(b"ORC\x0a")
    with pytest.raises(InputError, match="events is ORC, wanted CSV, JSON, Parquet or Delta; conv"):
        read_head(str(tmp_path / "events"), 10)


def test_content_with_a_few_zero_bytes_is_binary():
    assert [is_binary(b"a\0bcdefgh"), is_binary(b"abc"), is_binary("ab".encode("utf-16-be"))] == [
        True,
        False,
        False,
    ]
