"""Check how a text is normalised, and the laws of normalised texts."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.texts.normalisation import UNUSUAL, normalise

PIECES = st.sampled_from(
    ["&amp;", "&", "amp;", "lt;", "&#x26;", "#38;", "<b>", "</b>", "<", "b", ">", "<!--", "-->",
     " ", "\u00ad", "\u200d", "\u0301", "\ufe0f", "\u20e3", "1", "👩", "🏽", "🇩", "²", "ﾊ", "ﾞ",
     "Ａ", "￣", "ﷺ", "㈱", "ㅋ", "ำ", "運", "\u3000", "\x00", "<script>", "</script>", "‼", "↔",
     "\u0338"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caf&eacute;", "Café"),
        ("Caf&#233;", "Café"),
        ("Rock&#x27;n&#x27;Roll mug", "Rock'n'Roll mug"),
        ("Men&#39s", "Men's"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("salt &amp; pepper &lt;3", "salt & pepper <3"),
        ("R&D &copyright; &notit; H&M;", "R&D &copyright; &notit; H&M;"),
    ],
)
def test_entities_are_unescaped_also_twice_and_other_ampersands_stay(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>bold</b> claim", "bold claim"),
        ("<em>wire</em>less, 手<b>机</b>壳", "wireless, 手机壳"),
        ("one<br/>two<p class='x'>three</p>four", "one two three four"),
        ('<a href="https://a.b/?c=1&d">mug</a><!-- no --><img src=x alt="> y">', "mug"),
        ("<INPUT disabled> on <script>if (a < b) {}</script>sale", "on sale"),
        ("&lt;i&gt;new&lt;/i&gt; mug", "new mug"),
        ("<![CDATA[red mug]]>", "red mug"),
        ("usb < hdmi > vga", "usb < hdmi > vga"),
        ("usb<hdmi>vga", "usb<hdmi>vga"),
        ("a<b and c>d, 3 <4> 5, <3", "a<b and c>d, 3 <4> 5, <3"),
    ],
)
def test_tags_of_html_are_removed_and_other_angle_brackets_stay(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wire\u00adless\u200b mouse", "wireless mouse"),
        ("手\u200b机\u2060壳\ufeff", "手机壳"),
        ("m\x00u\x07g\u202e \u200eset", "mug set"),
        ("a\u202fb\u2003c\u00a0d\u2009e\u3000f\t\r\n g", "a b c d e f g"),
        ("  \u200b  ", ""),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("wi\u200cre", "wire"),
    ],
)
def test_invisible_characters_go_and_any_spaces_become_one(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "emoji",
    [
        "👩🏽\u200d🚀",
        "👨\u200d👩\u200d👧",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "🇩🇪",
        "🏴\U000e0067\U000e0062\U000e007f",
    ],
)
def test_emoji_keep_their_joiners_and_selectors(emoji):
    assert normalise(f"hat\u200d {emoji} cap\ufe0f") == f"hat {emoji} cap"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＡＢＣ１２３！　ｘ", "ABC123! x"),
        ("ﾊﾞｯｸﾞ", "バッグ"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("ﬁne 𝗡𝗶𝗸𝗲 ℃ Ⅳ", "fine Nike °C IV"),
        ("1½ m², Nike™ ①", "1½ m², Nike™ ①"),
        ("น้ำ ㅋㅋ", "น้ำ ㅋㅋ"),
    ],
)
def test_the_form_is_nfkc_except_where_readers_would_see_something_else(text, expected):
    assert normalise(text) == expected


@given(TEXTS)
def test_a_normalised_text_stays_as_it_is(text):
    normalised = normalise(text)
    assert normalise(normalised) == normalised


@given(TEXTS)
def test_composed_and_decomposed_texts_become_equal(text):
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert normalise(composed) == normalise(decomposed)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_text_without_unusual_parts_is_normalised_already(text):
    if re.search(UNUSUAL, text) is None:
        assert normalise(text) == text
