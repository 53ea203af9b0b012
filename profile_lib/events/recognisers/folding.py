"""Fold the many written forms of digits, signs and spaces to ASCII, keeping their places."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

MINUS_SIGN = 0x2212
# Format characters, enclosing marks and variation selectors are invisible or decorate a digit.
DROPPED_CATEGORIES = ("Cf", "Me")
VARIATION_SELECTORS = range(0xFE00, 0xFE10)
DECORATION = re.compile("[\ufe00-\ufe0f\u20dd-\u20e4]*")  # behind a character, as of a keycap


class Folded(NamedTuple):
    """A folded text, and the place of each of its characters in the original."""

    text: str
    original: str
    places: Sequence[int]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original text that became the characters [start, end)."""
        decoration = DECORATION.match(self.original, self.places[end - 1] + 1)
        return self.places[start], decoration.end() if decoration else self.places[end - 1] + 1


def fold(text: str) -> Folded:
    """Replace full-width and other compatible forms by ASCII, and drop invisible characters.

    Digits of all scripts, dashes and spaces become those of ASCII, by NFKC and Unicode's
    categories. Each character becomes one character or none; letters of other scripts stay.

    >>> fold("＋８６\u200b１３８").text
    '+86138'
    """
    if text.isascii():
        return Folded(text, text, range(len(text)))
    folded = text.translate(_CHARACTERS)
    if len(folded) == len(text):
        return Folded(folded, text, range(len(text)))
    return Folded(folded, text, [i for i, c in enumerate(text) if _CHARACTERS[ord(c)] is not None])


class _Characters(dict[int, str | None]):
    """The folded form of each code point, computed on first use; None: dropped."""

    def __missing__(self, code: int) -> str | None:
        self[code] = _fold_character(chr(code))
        return self[code]


def _fold_character(character: str) -> str | None:
    category = unicodedata.category(character)
    if category in DROPPED_CATEGORIES or ord(character) in VARIATION_SELECTORS:
        return None
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Pd" or ord(character) == MINUS_SIGN:
        return "-"
    if category == "Zs":
        return " "
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if len(compatible) == 1 and compatible.isascii() else character


_CHARACTERS = _Characters()
