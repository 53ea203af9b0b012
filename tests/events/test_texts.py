"""Check that columns of texts are normalised as single texts are."""

from pyspark.sql import functions as F

from profile_lib.events.texts import normalise_text
from profile_lib.spark.distinct_values import map_distinct_strings
from profile_lib.texts.languages import language_of
from profile_lib.texts.normalisation import normalise

TEXTS = [
    ("plain words", "plain words"),
    ("R&D, 3 < 4 & 5 > 2", "R&D, 3 < 4 & 5 > 2"),
    ("  Much\t\n  space ", "Much space"),
    ("ＡＢＣ１２３！　ｘ", "ABC123! x"),
    ("<b>bold</b> claim", "bold claim"),
    ("salt &amp; pepper &lt;3", "salt & pepper <3"),
    ("红色　运动鞋\u0000", "红色 运动鞋"),
    ("usb < hdmi > vga", "usb < hdmi > vga"),
    ("Caf&eacute", "Caf&eacute"),
    ("plain words", "plain words"),
    ("<br>", None),
    ("", None),
    (" \t", None),
    (None, None),
]


def test_plain_and_other_texts_are_normalised_and_empty_ones_become_null(rows):
    frame = rows("i int, t string", *[(i, text) for i, (text, _) in enumerate(TEXTS)])
    normalised = frame.select("i", normalise_text(F.col("t"), 100, False)).orderBy("i").collect()
    assert [row[1] for row in normalised] == [expected for _, expected in TEXTS]
    assert [normalise(text) or None for text, _ in TEXTS if text is not None] == [
        expected for text, expected in TEXTS if text is not None
    ]


def test_a_text_is_cut_before_it_is_normalised_and_lower_cased_after(rows):
    frame = rows("t string", ("<b>ＢＩＧ</b> MUG",))
    assert frame.select(normalise_text(F.col("t"), 12, True)).first()[0] == "big m"


def test_each_row_has_the_language_of_its_text(rows):
    frame = rows(
        "i int, t string", (0, "运动鞋"), (1, "mug"), (2, None), (3, "for me"), (4, "运动鞋")
    )
    languages = (
        frame.select("i", map_distinct_strings(F.col("t"), language_of)).orderBy("i").collect()
    )
    assert [row[1] for row in languages] == ["zh", None, None, "en", "zh"]
