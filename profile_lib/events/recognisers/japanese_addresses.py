"""Find Japanese addresses, from the prefecture to the number of a house or room."""

import re
from collections.abc import Iterator

from profile_lib.events.recognisers import Span

PREFECTURE = "(?:東京都|北海道|京都府|大阪府|[\u4e00-\u9fff]{2,3}県)"
NAME_SIGN = "[\u3040-\u30ff\u4e00-\u9fff]"
NUMERAL = "[\\d一二三四五六七八九十]"
PART = r"\d{1,4}(?:番地?|の|-)?"
NUMBER = rf"{NUMERAL}{{1,4}}(?:丁目|番地?|-)(?:{PART}){{0,4}}号?"
ADDRESS = re.compile(
    rf"(?:〒? ?\d{{3}}-\d{{4}},? ?)?{PREFECTURE} ?(?:{NAME_SIGN} ?){{1,12}}?[市区郡町村] ?"
    rf"(?:{NAME_SIGN} ?){{1,20}}?(?<!第){NUMBER}(?![\d日月年時分人個円回%])"
    rf"(?: ?{NAME_SIGN}{{1,20}}?\d{{1,4}}号室)?"
)


def find_japanese_addresses(text: str) -> Iterator[Span]:
    """Yield addresses that name their prefecture, with the postcode in front of it."""
    yield from (match.span() for match in ADDRESS.finditer(text))
