"""Normalise a text for people to read: entities, markup, spaces and Unicode forms."""

import html
import unicodedata
from html.entities import html5

import regex  # unlike re, it knows scripts, emoji and invisible characters

# Spark and Python agree that a text without any of these is normalised already. An `&` or `<` that
# begins no entity and no tag is part of a text, such as "H&M" or "usb < hdmi".
UNUSUAL = r"[^ -~]|&#|&[A-Za-z][A-Za-z0-9]{1,31};|<[A-Za-z/!]|^ | $|  "

ENTITY = regex.compile(r"&#\d{1,7};?|&#[xX][0-9A-Fa-f]{1,6};?|&[A-Za-z][A-Za-z0-9]{1,31};")

# Phrasing elements of the HTML standard that do not separate words: "<b>wire</b>less" is one word.
INLINE_TAGS = (
    "a abbr b bdi bdo big cite code data del dfn em font i ins kbd mark nobr q s samp small span "
    "strike strong sub sup time tt u var wbr"
)
OTHER_TAGS = (
    "address article aside base blockquote body br button caption center col colgroup dd details "
    "dialog dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 "
    "h5 h6 head header hgroup hr html iframe img input label legend li link main map menu meta nav "
    "noscript o:p object ol optgroup option p param picture pre script section select source style "
    "summary svg table tbody td template textarea tfoot th thead title tr track ul video audio"
)
BARE_ATTRIBUTES = (
    "allowfullscreen async autoplay checked compact controls default defer disabled hidden loop "
    "multiple muted nofollow noshade novalidate nowrap open readonly required reversed selected"
)


def _alternatives(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


ATTRIBUTES = (
    r"""(?:\s+[\w:@.-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=`]+)"""
    rf"|\s+(?:{_alternatives(BARE_ATTRIBUTES)})(?=[\s/>]))*"
)
MARKUP = regex.compile(
    r"<!--.*?-->|<!doctype\b[^<>]*>|<!\[CDATA\[(?P<characters>.*?)\]\]>"
    r"|<(?P<code>script|style)\b[^<>]*>.*?</(?P=code)\s*>"
    rf"|</?(?P<inline>{_alternatives(INLINE_TAGS)}){ATTRIBUTES}\s*/?>"
    rf"|</?(?:{_alternatives(OTHER_TAGS)}){ATTRIBUTES}\s*/?>",
    regex.IGNORECASE | regex.DOTALL,
)

# Emoji of UTS 51: flags, keycaps, and pictures with skin tones, tags and zero-width joiners.
_PICTURE = (
    r"\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|[\uFE0E\uFE0F])?\u20E3?"
    r"(?:[\U000E0020-\U000E007E]+\U000E007F)?"
)
EMOJI = rf"(?:\p{{RI}}\p{{RI}}|[0-9#*]\uFE0F?\u20E3|{_PICTURE}(?:\u200D{_PICTURE})*)"
# Scripts that write a word with joiners and non-joiners (UAX 31, section 2.3).
_JOINED_SCRIPTS = (
    r"\p{Arabic}\p{Syriac}\p{Mongolian}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Khmer}"
)
IS_INVISIBLE = regex.compile(r"(?!\s)[\p{Cc}\p{Default_Ignorable_Code_Point}]")
INVISIBLE = regex.compile(
    rf"({EMOJI}|(?<=[{_JOINED_SCRIPTS}])[\u200C\u200D](?=[{_JOINED_SCRIPTS}]))"
    rf"|{IS_INVISIBLE.pattern}"
)

# NFKC would change what these show: superscripts (m² is not m2), fractions (1½ is not 11⁄2), ™, ①,
# spacing accents, Thai and Lao "am", and the single jamo of Hangul.
_DISPLAYED = (
    r"\u00A8\u00AA\u00AF\u00B2-\u00B4\u00B8-\u00BA\u00BC-\u00BE\u02D8-\u02DD\u037A\u0384\u0385"
    r"\u0E33\u0EB3\u1FBD-\u1FC1\u1FCD-\u1FCF\u1FDD-\u1FDF\u1FED-\u1FEF\u1FFD\u1FFE\u2017\u203E"
    r"\u2070-\u209C\u2120\u2122\u2150-\u215F\u2189\u2460-\u24FF\u3131-\u318E"
)
DISPLAYED = regex.compile(rf"({EMOJI}|[{_DISPLAYED}]\p{{M}}*)")


def normalise(text: str) -> str:
    r"""Normalise a text: equal words become equal strings, which people can read.

    Entities are unescaped, also if they were escaped twice, and HTML tags and comments are removed;
    `<` and `>` without the name of an element between them stay. Control characters, zero-width
    characters and soft hyphens are removed, except within emoji and within words of scripts that
    need joiners. Any spaces become one. The Unicode form is NFKC, which makes full-width letters
    and half-width kana ordinary ones; characters that NFKC would change for a reader, such as the
    superscript of m², keep their own form (NFC). A normalised text stays as it is.

    >>> normalise("Tom &amp;amp; <b>Jerry</b>&nbsp; caf&eacute;")
    'Tom & Jerry café'
    >>> normalise("usb < hdmi > vga"), normalise("wire\u00adless\u200b\u2003ﾏｳｽ, 10 m²")
    ('usb < hdmi > vga', 'wireless マウス, 10 m²')
    """
    while (normalised := _normalise_once(text)) != text:
        text = normalised  # what was unescaped may hold an entity or a tag again
    return text


def _normalise_once(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    text = ENTITY.sub(_unescape, text)
    text = MARKUP.sub(lambda tag: tag["characters"] or ("" if tag["inline"] else " "), text)
    if IS_INVISIBLE.search(text):
        text = INVISIBLE.sub(lambda match: match[1] or "", text)
    if not text.isascii():
        parts = DISPLAYED.split(unicodedata.normalize("NFC", text))
        parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
        text = "".join(parts)
    return " ".join(text.split())


def _unescape(entity: regex.Match[str]) -> str:
    """Return the character of an entity; a name that HTML does not know stays."""
    text = entity[0]
    return html.unescape(text) if text[1] == "#" or text[1:] in html5 else text
