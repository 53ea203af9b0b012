"""Recognise the dialect of a CSV file, and whether it has a header."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import NamedTuple

from profile_lib.events.drafting.vocabulary import is_known_name
from profile_lib.events.mapping import CsvDialect

DELIMITERS = ",\t;|\x01^~"  # the first of equally good ones is taken
N_RECORDS = 500  # records at the start of a file that are compared
NAME = re.compile(r"[^\W\d][\w .:/#%()\[\]$-]{0,79}")  # form of a column's name
VALUE = re.compile(r"[+-]?[\d.,:/ -]*\d[\d.,:/ -]*|[0-9a-f-]{32,40}|\S+://\S+|\S+@\S+")
MIN_AGREEMENT = 0.7  # share of records with the same number of fields
MIN_HEADER_SCORE = 0.5
KNOWN_NAME_WEIGHT, CONTRAST_WEIGHT, REPEATED_WEIGHT = 0.6, 0.5, -1.0


class _Candidate(NamedTuple):
    """A dialect, its records, and how many agree on the number of fields."""

    agreement: float
    n_fields: int
    dialect: CsvDialect
    records: list[list[str]]


class FoundDialect(NamedTuple):
    """A dialect, and how sure the delimiter and the header are, from 0 to 1."""

    dialect: CsvDialect
    certainty: float
    header_certainty: float


def find_dialect(text: str) -> FoundDialect:
    """Recognise the dialect of a CSV text, whose last line may be cut.

    The delimiter is the one that gives most records the same number of fields, and of those the one
    with most fields; a space is one only if no other sign is. Quotes are ordinary characters, and a
    backslash escapes, if records agree more then.
    """
    for delimiters in (DELIMITERS, " "):
        candidates = list(_candidates(text, delimiters))
        best = max(candidates, key=lambda c: (round(c.agreement, 2), c.n_fields), default=None)
        if best is not None and best.agreement >= MIN_AGREEMENT:
            break
    if best is None or best.agreement < MIN_AGREEMENT:
        best = _Candidate(0.2, 1, CsvDialect(), _read_records(text, CsvDialect()))
    is_header, header_certainty = find_header(best.records)
    dialect = best.dialect.model_copy(update={"header": is_header})
    return FoundDialect(dialect, round(best.agreement, 2), header_certainty)


def _candidates(text: str, delimiters: str) -> Iterator[_Candidate]:
    """Yield each dialect that gives records of several fields, the usual ones first."""
    escapes = (None, "\\") if "\\" in text else (None,)
    for delimiter, quote, escape in product(delimiters, ('"', None), escapes):
        dialect = CsvDialect(delimiter=delimiter, quote=quote, escape=escape)
        records = _read_records(text, dialect)
        agreement, n_fields = _agreement(records)
        if n_fields > 1:
            yield _Candidate(agreement, n_fields, dialect, records)


def _read_records(text: str, dialect: CsvDialect) -> list[list[str]]:
    """Read the first records; the last one is left out if it may be cut."""
    reader = csv.reader(
        iter(text.splitlines(keepends=True)),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape,
        doublequote=dialect.escape is None,
    )
    records: list[list[str]] = []
    try:
        for record in islice(reader, N_RECORDS):
            records += [record] if record else []
    except csv.Error:  # a field is longer than the module allows: the quotes do not match
        return records
    is_cut = 2 < len(records) < N_RECORDS and not text.endswith(("\n", "\r"))
    return records[:-1] if is_cut else records


def _agreement(records: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Return the share of records with the most frequent number of fields, and that number."""
    if not records:
        return 0.0, 0
    n_fields, n_records = Counter(map(len, records)).most_common(1)[0]
    return n_records / len(records), n_fields


def find_header(records: Sequence[Sequence[str]]) -> tuple[bool, float]:
    """Return whether the first record holds names, and how sure that is.

    Known names speak for it, and fields that look unlike all others of their column; fields that
    look like values or that occur again in their column speak against it.
    """
    if not records:
        return True, 0.0
    first, others = records[0], records[1:]
    names = [name.strip() for name in first]
    if len(set(names)) < len(names) or any(VALUE.fullmatch(name) for name in names if name):
        return False, 0.95
    scores = [_header_score(name, _column(others, i)) for i, name in enumerate(names)]
    score = sum(scores) / max(len(scores), 1)
    is_header = score >= MIN_HEADER_SCORE or (score > 0 and all(map(NAME.fullmatch, names)))
    return is_header, round(min(0.99, 0.5 + abs(score) / 2), 2)


def _column(records: Sequence[Sequence[str]], index: int) -> list[str]:
    return [record[index].strip() for record in records if index < len(record)]


def _header_score(name: str, others: Sequence[str]) -> float:
    filled = [value for value in others if value]
    score = KNOWN_NAME_WEIGHT if is_known_name(name) else 0.0
    if name in filled:
        return score + REPEATED_WEIGHT
    n_values = sum(VALUE.fullmatch(value) is not None for value in filled)
    is_unlike = bool(filled) and n_values >= 0.9 * len(filled)
    return score + (CONTRAST_WEIGHT if is_unlike else 0.0)
