"""Check that queries and texts are cleaned in one pass, each with its language and issues."""

from pyspark.testing import assertDataFrameEqual

from profile_lib.events.free_texts import clean_free_texts

SCHEMA = "i int, query string, text string, issues array<string>"
CLEAN_SCHEMA = f"{SCHEMA}, language string"
TEXTS = [
    (0, "Red&nbsp;SHOES for the kids", None, []),
    (1, None, "Schuhe für Kinder, Antwort an ann@example.com", ["price:not_a_number"]),
    (2, "call +1 212 555 0123", "not good, my mail is ann@example.com", []),
    (3, " ", None, []),
    (4, None, None, []),
    (5, None, "红色 运动鞋 138-0013-8000", []),
]
CLEAN = [
    (0, "red shoes for the kids", None, [], "en"),
    (
        1, None, "Schuhe für Kinder, Antwort an [email]",
        ["price:not_a_number", "text:masked_email"], "de",
    ),
    (
        2, "call [phone]", "not good, my mail is [email]",
        ["query:masked_phone", "text:masked_email"], "en",
    ),
    (3, None, None, [], None),
    (4, None, None, [], None),
    (5, None, "红色 运动鞋 [phone]", ["text:masked_phone"], "zh"),
]  # fmt: skip


def test_texts_are_normalised_masked_and_their_language_recognised(rows):
    cleaned = clean_free_texts(rows(SCHEMA, *TEXTS), 100)
    assertDataFrameEqual(cleaned.select("i", "query", "text", "issues", "language"),
                         rows(CLEAN_SCHEMA, *CLEAN))  # fmt: skip


def test_a_text_is_cut_before_it_is_cleaned(rows):
    (row,) = clean_free_texts(rows(SCHEMA, (0, None, "word " * 200_000, [])), 9).collect()
    assert row["text"] == "word word"
