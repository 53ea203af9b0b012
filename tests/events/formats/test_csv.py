"""Check that CSV of any dialect is read by its header, and that no row is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.errors import InputError
from profile_lib.events.files.inspection import inspect_file
from profile_lib.events.formats import csv, csv_quotes
from profile_lib.events.formats.registry import FORMATS, POSITION, ROW
from tests.events.formats.csv_files import csv_spec, find_names, read_csv, read_raw_rows

WRONG, OPEN = "wrong_number_of_fields", "quote_not_closed"

DIALECTS = [
    (b"a,b\n1,2\n", {}, [("1", "2", 0, None)]),
    (b"a;b\n1,5;2\n", {"delimiter": ";"}, [("1,5", "2", 0, None)]),
    (b"a\tb\n1 \t 2\n", {"delimiter": "\t"}, [("1 ", " 2", 0, None)]),
    (b"a|b\r\n1|2\r\n", {"delimiter": "|"}, [("1", "2", 0, None)]),
    (b'a,b\n"x,y",""\n', {}, [("x,y", "", 0, None)]),
    (b'a,b\n"x ""y""",2\n', {}, [('x "y"', "2", 0, None)]),
    (b'a,b\n"x ""y""",2\n', {"escape": '"'}, [('x "y"', "2", 0, None)]),
    (b'a,b\n"x \\"y\\"",z\\,2\n', {"escape": "\\"}, [('x "y"', "z,2", 0, None)]),
    (b"a,b\n'x,y',2\n", {"quote": "'"}, [("x,y", "2", 0, None)]),
    (b'a,b\n"x,2\n', {"quote": None}, [('"x', "2", 0, None)]),
    (b'a,b\n5" tv,2\n', {}, [('5" tv', "2", 0, None)]),
    (b'a,b\n"first\nsecond",2\n3,4\n', {}, [("first\nsecond", "2", 0, None), ("3", "4", 1, None)]),
    (b"a,b\r1,2\r\n3,4\n5,6", {}, [("1", "2", 0, None), ("3", "4", 1, None), ("5", "6", 2, None)]),
    (b"\n\r\na,b\n\n1,2\n\n\n3,4\n", {}, [("1", "2", 0, None), ("3", "4", 1, None)]),
    (b"a,b\n1,\x002\n", {}, [("1", "\x002", 0, None)]),
    (b"a,b\n1,2", {"quote": None}, [("1", "2", 0, None)]),
    (b"a,b\n1,2", {"multi_line": False}, [("1", "2", 0, None)]),
    (b"1,2", {"header": False, "names": ["a", "b"], "quote": None}, [("1", "2", 0, None)]),
    (b"a,b", {}, []),
    (b"a,b\n", {}, []),
    (b"", {}, []),
    (b" \n \r\n", {}, []),
]


@pytest.mark.parametrize(("content", "dialect", "rows"), DIALECTS)
def test_fields_are_divided_as_the_dialect_says(tmp_path, content, dialect, rows):
    assert read_csv(tmp_path, content, ["a", "b"], csv_spec(**dialect)) == rows


def test_a_file_without_header_has_declared_or_numbered_columns(tmp_path):
    content = b"ann,1\nbob,2\n"
    numbered = read_csv(tmp_path, content, ["_c1", "_c0"], csv_spec(header=False))
    named = read_csv(tmp_path, content, ["n", "who"], csv_spec(header=False, names=["who", "n"]))
    assert numbered == named == [("1", "ann", 0, None), ("2", "bob", 1, None)]


HEADERS = [
    (b"a,b\n", {}, ["a", "b"]),
    (b" a , b b,\n1,2,3\n", {}, ["a", "b b", ""]),
    (b"a,a,A,a\n", {}, ["a", "a_2", "A", "a_3"]),
    (b'"x,y","b ""c""",2024\n1,2,3\n', {}, ["x,y", 'b "c"', "2024"]),
    (b"007,1.50\n1,2\n", {}, ["007", "1.50"]),
    (b'"two\nlines",b\n1,2\n', {}, ["two\nlines", "b"]),
    (b'a,5" x\n1,2\n3\n4,"5\n', {}, ["a", '5" x']),
    ("größe,b\n".encode("utf-16"), {}, ["größe", "b"]),
    (b",".join(b"c%d" % n for n in range(20_000)), {}, [f"c{n}" for n in range(20_000)]),
    (b"a,b", {}, ["a", "b"]),
    (b"1,2,3\n", {"header": False}, ["_c0", "_c1", "_c2"]),
    (b"1,2,3", {"header": False}, ["_c0", "_c1", "_c2"]),
    (b"", {}, []),
    (b"\n \n", {"header": False}, []),
]


@pytest.mark.parametrize(("content", "dialect", "names"), HEADERS)
def test_the_header_gives_the_names_and_repeated_ones_get_a_number(
    tmp_path, content, dialect, names
):
    assert find_names(tmp_path, content, csv_spec(**dialect)) == names


@pytest.mark.parametrize("columns", [["b", "a"], ["B", "A"], ["b", "missing"]])
def test_columns_are_found_by_name_in_any_order_and_case_and_missing_ones_are_null(
    tmp_path, columns
):
    expected = ("2", None if "missing" in columns else "1", 0, None)
    assert read_csv(tmp_path, b"x,a,b\n0,1,2\n", columns, csv_spec()) == [expected]


def test_a_row_with_another_number_of_fields_is_kept_with_its_number(tmp_path):
    content = b"a,b\n1,2\n3\n\n4,5,6\n7,8\n9,\n,\n   \n"
    assert read_csv(tmp_path, content, ["a", "b"], csv_spec()) == [
        ("1", "2", 0, None),
        (None, None, 1, WRONG),
        (None, None, 2, WRONG),
        ("7", "8", 3, None),
        ("9", "", 4, None),
        ("", "", 5, None),
        (None, None, 6, WRONG),
    ]


def test_rows_are_numbered_alike_in_files_of_many_blocks_even_if_a_row_exceeds_one(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(csv, "BLOCK_SIZES", (1_000, 4_000, 50_000))
    lines = [b"%d,x" % n if n % 7 else b"%d" % n for n in range(2_000)]
    lines[500], lines[1_500] = b"500," + b"y" * 3_000, b"1500," + b"z" * 20_000
    rows = read_csv(tmp_path, b"a,b\n" + b"\n".join(lines), ["a"], csv_spec())
    expected = [
        (None, n, WRONG) if n % 7 == 0 and n not in (500, 1_500) else (str(n), n, None)
        for n in range(2_000)
    ]
    assert rows == expected


def test_a_row_longer_than_the_largest_block_refuses_the_file_without_its_content(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(csv, "BLOCK_SIZES", (1_000, 4_000))
    content = b'a,b\n1,"secret' + b"y" * 50_000
    with pytest.raises(InputError) as error:
        read_csv(tmp_path, content, ["a"], csv_spec())
    assert str(error.value) == (
        f"{tmp_path}/events.csv cannot be read: its content is not CSV of the mapping's dialect, "
        "or a quote is not closed; if quotes are ordinary characters, set csv.quote: null, and if "
        "a field holds no line breaks, csv.multi_line: false"
    )


OPEN_QUOTES = [
    (b'a,b\n1,2\n3,"4\n5,6\n', {}, [("1", 0, None), (None, 1, OPEN), ("5", 2, None)]),
    (b'a,b\n1,2\n"3,4\n', {}, [("1", 0, None), (None, 1, OPEN)]),
    (b'a\n1\n"2\n3\n', {}, [("1", 0, None), (None, 1, OPEN), ("3", 2, None)]),
    (b"a,b\n1,2\\\n3,4\n", {"escape": "\\"}, [(None, 0, OPEN), ("3", 1, None)]),
    (
        b'a,b\n1,"2\r\n3,"4""\r"5",6\n7,8 "9\n',
        {"multi_line": False},
        [(None, 0, OPEN), (None, 1, OPEN), ("5", 2, None), ("7", 3, None)],
    ),
    (
        b'a,b\n1,"2\\"\n3,"4\\""\n\\"5,6\n',
        {"multi_line": False, "escape": "\\"},
        [(None, 0, OPEN), ("3", 1, None), ('"5', 2, None)],
    ),
    (b'a,b\n"1,2', {"multi_line": False}, [(None, 0, OPEN)]),
    (b'a,b\n"1,2', {}, [(None, 0, OPEN)]),
]


@pytest.mark.parametrize(("content", "dialect", "rows"), OPEN_QUOTES)
def test_a_quote_that_is_not_closed_is_a_problem_of_the_row_in_which_it_opens(
    tmp_path, content, dialect, rows
):
    assert read_csv(tmp_path, content, ["a"], csv_spec(**dialect)) == rows


SWALLOWED = [  # the titles of rows, and those that are read; None: the row has an open quote
    (['"Best', "Cup", "Pot", '"Other', "Jug"], [None, "Cup", "Pot", None, "Jug"]),
    (['"Best', "Cup", "Pot", "Jug"], [None, "Cup", "Pot", "Jug"]),
    (['"Best', "Cup", '"Pot, blue"', "Jug"], [None, "Cup", "Pot, blue", "Jug"]),
    (['"Best', 'Screen 5"', "Jug"], [None, 'Screen 5"', "Jug"]),
    (['"Best', '"first\nsecond"', "Jug"], [None, "first\nsecond", "Jug"]),
    (['"Best', '"Other', '"Third', '"Pot"'], [None, None, None, "Pot"]),
    (["Mug", 'Screen 5"', 'The "Pot"', '"Jug"'], ["Mug", 'Screen 5"', 'The "Pot"', "Jug"]),
]


def write_titles(titles: list[str]) -> bytes:
    """Write rows whose last column is the title as it stands in the file."""
    prices = ["5.00", "", "12", "7.5", "3"]
    lines = [
        f"u{n},2024-03-01 10:{n:02}:00,view,{prices[n % len(prices)]},{title}\n"
        for n, title in enumerate(titles)
    ]
    return "".join(["uid,ts,act,price,title\n", *lines]).encode()


@pytest.mark.parametrize(("titles", "read"), SWALLOWED)
def test_a_stray_quote_rejects_its_row_and_no_row_after_it(tmp_path, titles, read):
    rows = read_csv(tmp_path, write_titles(titles), ["uid", "title"], csv_spec())
    assert rows == [
        (None, None, n, OPEN) if title is None else (f"u{n}", title, n, None)
        for n, title in enumerate(read)
    ]


MULTI_LINE_TEXTS = [
    "arrived fast\nand the handle is solid",
    "good, solid, cheap, blue, and mine\nred,green,blue,pink,grey\n\nok, 1, 2, 3, 4",
    "sizes:\n36,37,38,39,40\nall fit",
    'he said ""great""\r\nand, then, that, was, it',
]


@pytest.mark.parametrize("text", MULTI_LINE_TEXTS)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_text_of_several_lines_with_commas_stays_one_field(tmp_path, text, place):
    names = ["uid", "ts", "item", "price"]
    first, second = (
        ["u1", "2024-03-01T10:00:00", "a1", "5.00"],
        ["u2", "2024-03-01T10:01:00", "", ""],
    )
    for row, value in ((names, "text"), (first, f'"{text}"'), (second, "fine")):
        row.insert(place, value)
    content = "\n".join(map(",".join, (names, first, second))).encode()
    assert read_csv(tmp_path, content, ["uid", "text"], csv_spec()) == [
        ("u1", text.replace('""', '"'), 0, None),
        ("u2", "fine", 1, None),
    ]


def test_open_quotes_are_found_alike_at_the_borders_of_blocks(tmp_path, monkeypatch):
    titles = ['"Best', "Cup", '"first\nsecond"', '"Pot, blue"', "Jug"]
    content = write_titles(titles * 20)
    whole = read_csv(tmp_path, content, ["uid", "title"], csv_spec())
    for n_bytes in (1, 7, 64, 1_000):
        monkeypatch.setattr(csv_quotes, "SCAN_BYTES", n_bytes)
        assert read_csv(tmp_path, content, ["uid", "title"], csv_spec()) == whole
    assert [row[1] for row in whole] == [None, "Cup", "first\nsecond", "Pot, blue", "Jug"] * 20


def test_a_quote_that_is_open_for_longer_than_a_row_can_be_is_not_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_quotes, "SCAN_BYTES", 100)
    monkeypatch.setattr(csv_quotes, "MAX_ROW_BYTES", 1_000)
    content = b'a,b\n1,"2\n' + b"3\n" * 2_000 + b'4,5"\n6,7\n'
    rows = read_csv(tmp_path, content, ["a"], csv_spec())
    assert rows[0] == (None, 0, OPEN)
    assert rows[1:2_001] == [(None, n, WRONG) for n in range(1, 2_001)]
    assert rows[2_001:] == [("4", 2_001, None), ("6", 2_002, None)]


QUOTED_PIECES = ["x", "9", "", '"', '""', '"a', 'b"', '5"', '"q"', '"""', '"r""', "\\", '"s\\"']


@pytest.mark.parametrize("dialect", [{}, {"escape": "\\"}, {"multi_line": False}])
@given(lines=st.lists(st.lists(st.sampled_from(QUOTED_PIECES), min_size=1, max_size=4), max_size=6))
def test_each_line_of_any_quotes_is_in_exactly_one_row(tmp_path_factory, dialect, lines):
    marked = [",".join([*fields[:-1], f"{fields[-1]}<{n}>"]) for n, fields in enumerate(lines)]
    content = "\n".join(["a,b,c", *marked]).encode()
    rows = read_raw_rows(tmp_path_factory.getbasetemp(), content, ["a"], csv_spec(**dialect))
    assert [int(n) for row in rows for n in re.findall(r"<(\d)>", row[ROW])] == [*range(len(lines))]
    assert [row[POSITION] for row in rows] == [*range(len(rows))]


def test_a_file_whose_header_has_an_open_quote_is_refused_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / "events.csv").write_bytes(b'a,"b\n1,2\n3,4\n')
    _, names, _, problem = inspect_file(
        str(tmp_path / "events.csv"), csv_spec(), FORMATS.get(csv_spec().format)()
    )
    assert names == []
    assert problem.startswith(f"{tmp_path}/events.csv cannot be read: its content is not CSV of")


def test_text_of_another_encoding_is_read_as_declared(tmp_path):
    content = "who;größe\nann;5 €\n".encode("cp1252")
    spec = csv_spec(encoding="cp1252", delimiter=";")
    assert read_csv(tmp_path, content, ["who", "größe"], spec) == [("ann", "5 €", 0, None)]


def test_the_text_of_a_row_does_not_depend_on_the_order_of_the_columns(tmp_path):
    first, second = (
        read_raw_rows(tmp_path, content, ["b"], csv_spec())
        for content in (b"a,b\n1,2\n", b"b,a\n2,1\n")
    )
    assert first == second
    assert [row[ROW] for row in first] == ["1\x1f2"]
