"""Check which words of a text become keywords, in which stems and forms."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC
from pyspark.sql import functions as F

from profile_lib.features.keywords import Keyword, extract_keywords, split_words

WORDS = st.sampled_from(
    ["Café", "Ångström", "Fußball", "running", "Nestlé's", "운동화", "バッグ", "رياضي", "Ελλάδα",
     "йод", "運動鞋", "頭髮護理", "充電寶", "手機殼", "T恤", "乾燥機", "iPhone", "的", "Wi-Fi",
     "m²", "ế", "ㅋ"]
)  # fmt: skip
TITLES = st.lists(st.one_of(WORDS, st.text(max_size=4)), max_size=8).flatmap(
    lambda words: st.sampled_from([" ", "", "-", "’"]).map(lambda glue: glue.join(words))
)


def stems(text: str) -> list[str]:
    return [keyword.stem for keyword in split_words(text)]


def forms(text: str) -> list[str]:
    return [keyword.form for keyword in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Men's Running Shoes, the 2nd running shoe", ["men", "run", "shoe", "2nd"]),
        ("红色的运动鞋", ["红色", "运动鞋"]),
        ("Nike 运动鞋 and T-shirts", ["nike", "运动鞋", "t-shirt"]),
        ("It's for you, isn't it? 这个和那些", []),
        ("Schuhe für die Kinder", ["schuhe", "die", "kinder"]),
        ("!!! ...", []),
    ],
)
def test_keywords_are_stems_without_function_words(text, expected):
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mug", ["mug"]),
        ("Large mug", ["larg", "mug"]),
        ("Computer case", ["comput", "case"]),
        ("TV", ["tv"]),
        ("Crop top", ["crop", "top"]),
        ("Gold ring", ["gold", "ring"]),
        ("Microsoft Surface", ["microsoft", "surfac"]),
        ("system, room and face", ["system", "room", "face"]),
        ("trash can, down jacket", ["trash", "can", "down", "jacket"]),
    ],
)
def test_words_for_products_are_no_function_words(text, expected):
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café table", ["café", "tabl"]),
        ("Cafe\u0301 table", ["café", "tabl"]),
        ("Caf&eacute;", ["café"]),
        ("Fußball", ["fußball"]),
        ("Nestlé cocoa", ["nestlé", "cocoa"]),
        ("Häagen-Dazs", ["häagen-dazs"]),
        ("Coupé Citroën", ["coupé", "citroën"]),
        ("Kinder\u00adwagen", ["kinderwagen"]),
        ("wire\u00adless\u200b mouse", ["wireless", "mous"]),
        ("Rock&#x27;n&#x27;Roll mug", ["rock'n'rol", "mug"]),
        ("Tom &amp;amp; Jerry", ["tom", "jerri"]),
        ("H&M, Levi’s 501, 2.4 GHz", ["h&m", "levi", "501", "2.4", "ghz"]),
        ("usb < hdmi > vga", ["usb", "hdmi", "vga"]),
        ("red-running-shoes", ["red", "run", "shoe"]),
        ("Nike™ 5 m²", ["nike", "5", "m2"]),
    ],
)
def test_words_with_accents_joints_or_entities_stay_whole(text, expected):
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("мужские кроссовки", ["мужские", "кроссовки"]),
        ("αθλητικά παπούτσια", ["αθλητικά", "παπούτσια"]),
        ("حذاء رياضي", ["حذاء", "رياضي"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("여성 운동화", ["여성", "운동화"]),
        ("赤いﾗﾝﾆﾝｸﾞ靴のセール", ["赤", "ランニング", "靴", "セール"]),
        ("เสื้อยืด", ["เสื้อยืด"]),
        ("👩🏽\u200d🚀 hat 1\ufe0f\u20e3 ❤\ufe0f", ["hat"]),
    ],
)
def test_words_of_other_scripts_stay_whole_and_emoji_are_left_out(text, expected):
    assert stems(text) == expected


def test_chinese_is_split_in_simplified_characters_and_shown_as_written():
    assert stems("運動鞋") == stems("运动鞋") == ["运动鞋"]
    assert stems("手\u200b机\u200b壳") == stems("手機殼") == stems("手机壳") == ["手机", "壳"]
    assert stems("纯棉t恤") == stems("純棉T恤") == ["纯棉", "t恤"]
    assert stems("iPhone手机壳") == ["iphon", "手机", "壳"]
    assert forms("iPhone手機殼, 純棉T恤") == ["iPhone", "手機", "殼", "純棉", "T恤"]


def test_a_form_is_the_first_of_its_stem_as_written():
    assert split_words("Whiskery Shoes, shoe") == [
        Keyword("whiskeri", "Whiskery"),
        Keyword("shoe", "Shoes"),
    ]


@given(TITLES)
def test_keywords_of_composed_and_decomposed_texts_are_equal(text):
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert split_words(composed) == split_words(decomposed)


@given(TITLES)
def test_stems_of_traditional_and_simplified_texts_are_equal(text):
    assert stems(OpenCC("t2s").convert(text)) == stems(text)


def test_each_row_has_the_stems_and_forms_of_its_text(rows):
    texts = ["Large mugs", None, "運動鞋", "", "Large mugs"]
    frame = rows("i int, t string", *enumerate(texts))
    found = frame.select("i", extract_keywords(F.col("t")).alias("k")).orderBy("i").collect()
    assert [(row.k.stems, row.k.forms) for row in found] == [
        (["larg", "mug"], ["Large", "mugs"]),
        ([], []),
        (["运动鞋"], ["運動鞋"]),
        ([], []),
        (["larg", "mug"], ["Large", "mugs"]),
    ]
