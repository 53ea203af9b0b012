"""Mask personal data in free texts: e-mail addresses, numbers of persons, postal addresses."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from profile_lib.events.recognisers import Span
from profile_lib.events.recognisers.address_words import (
    FRENCH_TYPES,
    GERMAN_TYPES,
    POSTCODE_AREAS,
    STRONG_TYPES,
    WEAK_TYPES,
)
from profile_lib.events.recognisers.chinese_addresses import find_chinese_addresses
from profile_lib.events.recognisers.european_addresses import find_european_addresses
from profile_lib.events.recognisers.folding import fold
from profile_lib.events.recognisers.japanese_addresses import find_japanese_addresses
from profile_lib.events.recognisers.network import find_emails, find_ips
from profile_lib.events.recognisers.numbers import find_cards, find_ibans, find_national_numbers
from profile_lib.events.recognisers.phones import find_phones
from profile_lib.events.recognisers.streets import find_streets

# Recognisers in order: what an earlier one finds, a later one doesn't see.
RECOGNISERS: tuple[tuple[str, Callable[[str], Iterator[Span]]], ...] = (
    ("email", find_emails),
    ("ip", find_ips),
    ("iban", find_ibans),
    ("id number", find_national_numbers),
    ("card", find_cards),
    ("phone", find_phones),
    ("address", find_european_addresses),
    ("address", find_japanese_addresses),
    ("address", find_streets),
    ("address", find_chinese_addresses),
)
KINDS = tuple(dict.fromkeys(kind for kind, _ in RECOGNISERS))
# Every find holds one of these in the folded text, in the syntax that Python's and Java's regular
# expressions share.
SIGNS_OF_PERSONAL_DATA = "|".join(
    (
        "@",
        r"\d(?:[^a-z\d]{0,4}\d){5}",
        r"[a-z]{6}\d\d[a-z]\d\d[a-z]\d{3}",
        r"\d\.\d{1,3}\.\d{1,3}\.\d",
        r"[0-9a-f]:[0-9a-f]{0,4}:",
        r"[ \[({<]dot[ \])}>]",
        r"[\[({<] ?at ?[\])}>]",
        r"(?:box|apt|apartment|suite|ste)\.? ?#?\d",
        r"\b[a-z]{2},? {1,2}\d{5}\b",
        rf"\b(?:{POSTCODE_AREAS})\d[a-z\d]? ?\d[a-z]{{2}}\b",
        rf"\d\D{{2,90}}?\b(?:{STRONG_TYPES}|{WEAK_TYPES})\b",
        rf"{GERMAN_TYPES} \d",
        rf"\d(?: ?(?:bis|ter|[a-d]))?,? {FRENCH_TYPES} ",
        r"[都道府県]\D{2,60}[\d一二三四五六七八九十]{1,4}(?:丁目|番|-)",
        r"[区园苑寓村城] ?\d{1,3}-\d{1,2}-\d{3}",
        r"[\d零〇一二两三四五六七八九十百千甲乙丙丁a-z] ?(?:号|號|#|弄|栋|幢|座|单元|室|组)",
    )
)
_SIGNS = re.compile(SIGNS_OF_PERSONAL_DATA, re.IGNORECASE)
# Keeps the time linear if each find uncovers the next; texts of people need one round per kind.
MAX_ROUNDS = 32
_TOKEN = re.compile("|".join(re.escape(f"[{kind}]") for kind in KINDS))


class Find(NamedTuple):
    """Personal data of a kind in the characters [start, end) of a text."""

    start: int
    end: int
    kind: str


class Masked(NamedTuple):
    """A text without personal data, and the number of finds per kind."""

    text: str
    kinds: Mapping[str, int]


def mask_text(text: str) -> Masked:
    """Replace personal data in a text by tokens such as `[email]`, and count the finds.

    The kinds are those of KINDS. A masked text stays as it is if it is masked again.

    >>> mask_text("call ann on (212) 555-0123 or write to ann@example.com")
    Masked(text='call ann on [phone] or write to [email]', kinds={'phone': 1, 'email': 1})
    """
    finds = find_personal_data(text)
    pieces, position = [], 0
    for find in finds:
        pieces += [text[position : find.start], f"[{find.kind}]"]
        position = find.end
    return Masked("".join([*pieces, text[position:]]), dict(Counter(f.kind for f in finds)))


def find_personal_data(text: str) -> list[Find]:
    """Return personal data in order, without overlaps.

    Tokens of an earlier masking divide a text into parts, and so does each find. Every part is
    searched as a text of its own until nothing is found in it, at most MAX_ROUNDS times.
    """
    finds: list[Find] = []
    parts = list(_gaps([match.span() for match in _TOKEN.finditer(text)], 0, len(text)))
    for _ in range(MAX_ROUNDS):
        searched, parts = parts, []
        for start, end in searched:
            if found := _find_first_kind(text[start:end]):
                spans = [(start + first, start + last) for first, last in found.spans]
                finds += [Find(*span, found.kind) for span in spans]
                parts += _gaps(spans, start, end)
    return sorted(finds)


class _Found(NamedTuple):
    kind: str
    spans: list[Span]


def _find_first_kind(text: str) -> _Found | None:
    """Return the finds of the first recogniser that finds something."""
    folded = fold(text)
    if not _SIGNS.search(folded.text):
        return None
    for kind, find in RECOGNISERS:
        if spans := list(_merge(find(folded.text))):
            return _Found(kind, [folded.original_span(*span) for span in spans])
    return None


def _merge(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans in order, those that overlap as one."""
    start, end = 0, 0
    for next_start, next_end in sorted(spans):
        if next_start < end:
            end = max(end, next_end)
            continue
        if end:
            yield start, end
        start, end = next_start, next_end
    if end:
        yield start, end


def _gaps(spans: Iterable[Span], start: int, end: int) -> Iterator[Span]:
    """Yield the parts of [start, end) that lie between spans in order."""
    for span_start, span_end in spans:
        yield start, span_start
        start = span_end
    yield start, end
