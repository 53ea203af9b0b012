"""Check what words of sources are guessed to mean, on those of the shipped mappings."""

from pathlib import Path

import pytest
import yaml

from profile_lib.events.drafting.event_words import guess_event_type

SOURCES = Path(__file__).parents[3] / "conf" / "sources"
# Words whose meaning their source alone explains.
ONLY_KNOWN_TO_THE_SOURCE = {
    ("ga4", "click"), ("otto", "clicks"), ("yoochoose", "click"), ("tmall", "0"), ("tmall", "1"),
    ("tmall", "2"), ("tmall", "3"), ("ubi", "product_hover"), ("ubi", "view_search_results"),
    ("ubi", "global_click"), ("snowplow", "link_click"), ("segment", "Checkout Step Completed"),
    ("posthog", "Checkout Step Completed"),
}  # fmt: skip


def test_the_words_of_the_shipped_mappings_are_guessed_except_a_few():
    wrong = {
        (file.stem, word)
        for file in SOURCES.glob("*.yaml")
        for word, event_type in yaml.safe_load(file.read_text("utf-8"))
        .get("event_types", {})
        .items()
        if guess_event_type(word).event_type != event_type
    }
    assert wrong == ONLY_KNOWN_TO_THE_SOURCE


@pytest.mark.parametrize(
    ("word", "event_type"),
    [("加入购物车", "cart"), ("收藏", "favourite"), ("addToCart", "cart"), ("LOOK", "view"),
     ("cart_remove", "uncart"), ("order refunded", "return"), ("Bestellung", "purchase")],
)  # fmt: skip
def test_words_of_other_languages_and_spellings_are_guessed(word, event_type):
    assert guess_event_type(word).event_type == event_type


@pytest.mark.parametrize("word", ["17", "", "xyz", "Ann Smith"])
def test_an_unknown_word_has_the_certainty_0(word):
    assert guess_event_type(word) == (None, 0.0)
