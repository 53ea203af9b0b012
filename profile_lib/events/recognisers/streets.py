"""Find postal addresses in English texts: streets with a number, post boxes and UK postcodes."""

import re
from collections.abc import Iterator

from profile_lib.events.recognisers import Span
from profile_lib.events.recognisers.address_words import (
    CITIES,
    FLOORS,
    GOODS,
    POSTCODE_AREAS,
    POSTCODE_LIKE_UNITS,
    QUANTITY_WORDS,
    SENTENCE_WORDS,
    STATES,
    STRONG_TYPES,
    UNITS,
    WEAK_TYPES,
)

FLAGS = re.IGNORECASE | re.ASCII
ORDINAL = r"\d{1,3}(?:st|nd|rd|th)"
UNIT = rf"(?:(?:(?:{UNITS})(?![a-z])|#)\.? ?[a-z0-9-]{{1,5}}|(?:{FLOORS}|{ORDINAL}) floor)"
# A range of years, as in "1991-1998, Thomas Lane", is no house number.
NUMBER = r"(?:no\.? ?)?(?!(?:19|20)\d\d-(?:19|20)\d\d)\d{1,5}[a-z]?(?:[-/]\d{1,4}[a-z]?)?"
WORD = r"[a-zÀ-ɏ][a-zÀ-ɏ'’.-]{0,20}"
START = rf"(?<![\w$£€¥.,#@/-])(?:{UNIT},? (?:{NUMBER},? )?|{NUMBER},? )"
PLACE = rf"(?:{WORD},? {{1,2}}){{0,4}}"
OUTWARD, INWARD = rf"(?:{POSTCODE_AREAS})\d[A-Z\d]?", r"\d[ABD-HJLNP-UW-Z]{2}(?![\w-])"
EVIDENT_POSTCODE = rf"{OUTWARD} (?!\d(?:{POSTCODE_LIKE_UNITS})){INWARD}"
FLAT = r"(?:apt|apartment|suite|ste)(?![a-z])\.? ?\d{1,5}[a-z]?(?![\w-])"
ZIP_CODE = rf"(?:{STATES}),? {{1,2}}\d{{5}}(?:-\d{{4}})?(?![\w-])"

POST_BOX = re.compile(r"(?<!\w)p\.? ?o\.? ?box ?#?\d{1,6}(?!\w)", FLAGS)
LONE_POSTCODE = re.compile(rf"(?<![\w$£€.,#/-]){EVIDENT_POSTCODE}", FLAGS)
PLACED = re.compile(  # streets of any type, because a flat, a postcode or a ZIP code follows
    rf"{START}(?P<name>(?:(?:{ORDINAL}|{WORD}),? ){{1,4}}?)"
    rf"(?:(?:{UNIT},? )?{PLACE}(?:{EVIDENT_POSTCODE}|{ZIP_CODE})|{FLAT})",
    FLAGS,
)
STREET = re.compile(
    rf"{START}(?P<name>(?:(?:{ORDINAL}|{WORD}) ){{1,4}}?)"
    rf"(?P<type>{STRONG_TYPES}|{WEAK_TYPES})(?![\w'’-])\.?",
    FLAGS,
)
TAIL = re.compile(  # what may follow a street: a flat, a place, a country
    rf"(?:,? {UNIT}(?![\w-]))?(?:,? {{1,2}}(?:{PLACE}(?:{OUTWARD} ?{INWARD}|{ZIP_CODE})"
    rf"|{PLACE}(?-i:{STATES})(?![\w-])|(?:{CITIES})(?!\w)))?(?:,? {{1,2}}(?-i:UK|USA?)(?!\w))?",
    FLAGS,
)
QUANTITY = re.compile(rf"\b(?:{QUANTITY_WORDS})\b", re.IGNORECASE)
NAMED_ADDRESS = re.compile(
    r"\b(?:at|to|address(?: is)?|from|near|live in)[ :,-]{1,2}$", re.IGNORECASE
)
NAME_CHARS = 20  # in front of an address, where its name stands
GOODS_FOLLOW = re.compile(rf" (?:{GOODS})\b", re.IGNORECASE)
STREET_ENDS = re.compile(  # the text ends, or the sentence goes on
    rf"\W*$|[.,;:!?)|\]，。；！？）]| [-–—|(\[]| (?:{SENTENCE_WORDS})\b|\W{{0,3}}[^\x00-\x7f]"
)


def find_streets(text: str) -> Iterator[Span]:
    """Yield addresses up to the postcode, state or large city behind the street.

    A street without a place behind it has to have an evident type or be named, because "4 wheel
    drive" and "2 pack road bike" have the same form.
    """
    yield from (match.span() for match in POST_BOX.finditer(text))
    yield from (match.span() for match in LONE_POSTCODE.finditer(text))
    yield from (match.span() for match in PLACED.finditer(text) if not _is_quantity(match))
    for match in STREET.finditer(text):
        tail = TAIL.match(text, match.end())
        end = tail.end() if tail else match.end()
        if not _is_quantity(match) and (end > match.end() or _is_evident(text, match)):
            yield match.start(), end


def _is_quantity(match: re.Match[str]) -> bool:
    return QUANTITY.search(match["name"]) is not None


def _is_evident(text: str, match: re.Match[str]) -> bool:
    """Return whether a street without a place behind it is no product."""
    if GOODS_FOLLOW.match(text, match.end()):
        return False
    if NAMED_ADDRESS.search(text[max(0, match.start() - NAME_CHARS) : match.start()]):
        return True
    is_strong = re.fullmatch(STRONG_TYPES, match["type"], re.IGNORECASE) is not None
    is_capitalised = (match["name"] + match["type"]).istitle()
    return is_strong or is_capitalised and STREET_ENDS.match(text, match.end()) is not None
