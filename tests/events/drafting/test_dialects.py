"""Check how the dialect of a CSV text is recognised."""

import pytest

from profile_lib.events.drafting.dialects import find_dialect

ROWS = [
    ("u1", "2026-01-02 10:00:00", "view", "12.50"),
    ("u2", "2026-01-02 10:01:00", "buy", "3.00"),
]


def to_text(delimiter: str, header: str = "") -> str:
    return "\n".join([*([header] if header else []), *map(delimiter.join, ROWS * 3)]) + "\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01"])
def test_the_delimiter_is_the_one_that_gives_all_rows_the_same_number_of_fields(delimiter):
    found = find_dialect(to_text(delimiter))
    assert (found.dialect.delimiter, found.certainty) == (delimiter, 1.0)


def test_a_decimal_comma_is_no_delimiter_beside_semicolons():
    assert find_dialect("a;b;c\n1,5;2,5;x\n3;4,5;y\n").dialect.delimiter == ";"


def test_a_space_is_the_delimiter_only_if_no_other_sign_is():
    assert find_dialect("1 2 3\n4 5 6\n7 8 9\n").dialect.delimiter == " "
    assert find_dialect("u1,10:00 UTC\nu2,10:01 UTC\n").dialect.delimiter == ","


def test_a_quoted_line_break_does_not_end_a_row():
    dialect = find_dialect('uid,text\nu1,"good, and\ncheap"\nu2,"bad"\n').dialect
    assert (dialect.delimiter, dialect.quote, dialect.header) == (",", '"', True)


def test_quotes_that_are_never_closed_are_ordinary_characters():
    rows = "".join(f'u{n}\tscreen of 15" and more\t{n}.5\n' for n in range(9))
    assert find_dialect(rows + 'u9\t"half\t1.5\nu8\tx\t2.5\nu7\ty\t1.5\n').dialect.quote is None


def test_a_backslash_before_a_delimiter_escapes_it():
    assert find_dialect("u1\ta\\\tb\t1\nu2\tc\t2\nu3\td\t3\n").dialect.escape == "\\"


@pytest.mark.parametrize(
    ("header", "is_header"),
    [
        ("user_id,event_time,action,price", True),
        ("kunde,wann,was,wert", True),  # unknown names over values
        ("u9,2026-01-02 09:00:00,view,1.00", False),
        ("", False),
    ],
)
def test_a_header_has_known_names_or_stands_over_values(header, is_header):
    assert find_dialect(to_text(",", header)).dialect.header is is_header


def test_a_first_row_of_words_that_occur_again_is_no_header():
    assert find_dialect("ann,view,tea\nbob,buy,tea\nann,view,cup\n").dialect.header is False
