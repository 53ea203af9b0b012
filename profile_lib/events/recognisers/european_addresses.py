"""Find German, Dutch, French, Italian and Spanish addresses: a street, a postcode and a town."""

import re
from collections.abc import Iterator

from profile_lib.events.recognisers import Span
from profile_lib.events.recognisers.address_words import (
    FRENCH_TYPES,
    GERMAN_TYPES,
    SOUTHERN_TYPES,
)

WORD = r"[^\W\d_][\w.'’-]{0,30}"
HOUSE = r"\d{1,4} ?[a-z]?(?:[-/]\d{1,4}[a-z]?)?(?!\w)"
UNIT = r"(?:mah|w?h|kwh|m[lm]|[ck]?m|k?g|w|watts?|lm|lumens?|rpm|h?z|stück|teile|pcs|pieces|sold)\b"
TOWN = (
    rf"(?!{UNIT})(?:(?:bad|sankt|le|la|den|reggio|las|los) )?{WORD}"
    rf"(?: (?:am|an der|in der|cedex) ?{WORD})?"
)
# Four digits are a postcode of Austria or Switzerland, or a year; with letters, one of the
# Netherlands.
POSTCODE = r"(?:[a-z]{1,2}-)?(?:\d{5}|(?!19|20)[1-9]\d{3}|\d{4} ?[a-z]{2})(?!\w)"
PLACE = rf",?(?: in)? {POSTCODE} {TOWN}"
# A type is the end of a word, as in Musterstraße, or a word behind another one.
NORTHERN_STREET = (
    rf"(?<!\w)(?:(?:am|an der|auf dem|zum|zur) )?{WORD}"
    rf"(?:(?<=[\w-]){GERMAN_TYPES}|[ -]{GERMAN_TYPES}) {HOUSE}"
)
FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        NORTHERN_STREET + PLACE,
        rf"(?<![\w-])\d{{5}} {WORD}, {NORTHERN_STREET}",
        rf"(?<![\w$£€¥.,#/-])\d{{1,4}}(?: ?(?:bis|ter|[a-d]))?,? {FRENCH_TYPES}"
        rf"(?: {WORD}){{1,6}}?{PLACE}",
        rf"(?<!\w){SOUTHERN_TYPES}(?: {WORD}){{1,5}}?,? (?:n[.º°]? ?)?{HOUSE}{PLACE}",
    )
]


def find_european_addresses(text: str) -> Iterator[Span]:
    """Yield addresses with a postcode; a street alone may be the name of a product."""
    for form in FORMS:
        yield from (match.span() for match in form.finditer(text))
