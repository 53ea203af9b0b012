"""Generate shop texts in English and Chinese with personal data at known places, by a seed."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.events.personal_text_forms import FORMS
from tests.events.product_words import write_words

# The styles of texts; {} stands for personal data, # for words without any.
TEMPLATES = {
    ("en", "query"): (
        "{}", "# {}", "{} #", "order status {}", "deliver # to {}", "# near {}", "send to {} or {}",
        "account of {}", "{} {}",
    ),
    ("en", "review"): (
        "#. My parcel never came, please write to {}.", "Contact me: {} (evenings)! #.",
        "#, and nobody answered. {}", "{} is where you reach me, {} is for work. #.",
        "The seller asked for {}; that is odd. #.", "I gave them {}, then {}. #?", "# - thanks, {}",
    ),
    ("en", "title"): (
        "Order for {} | #", "My account – {} – #", "Checkout: {}", "# | {}",
        "Profile of {}, {} | #",
    ),
    ("zh", "query"): ("{}", "# {}", "{} #", "查询 {}", "寄到{}", "{} {}", "#，{}"),
    ("zh", "review"): (
        "#，快递一直没到，请联系{}。", "我的信息是{}，请尽快处理！#。", "#。{}，谢谢",
        "卖家留的是{}；#", "客服要我提供{}，太奇怪了", "请发到{}或者{}，#。", "#（{}）",
    ),
    ("zh", "title"): ("订单 {} | #", "我的账户：{}", "# - {}", "收货信息 {}，{} - #"),
}  # fmt: skip
SEPARATORS = {"en": (" ", ", ", ". "), "zh": ("，",)}


class Span(NamedTuple):
    """Personal data of a kind in the characters [start, end) of a text."""

    start: int
    end: int
    kind: str


class LabelledText(NamedTuple):
    """A text and the personal data that it holds, in order."""

    text: str
    spans: tuple[Span, ...]


def generate_texts(seed: int, n_texts: int) -> Iterator[LabelledText]:
    """Yield texts of all styles; every second one has one or two spans, the others have none."""
    r = random.Random(seed)
    for index in range(n_texts):
        language, style = r.choice(list(TEMPLATES))
        if index % 2:
            template = r.choice(TEMPLATES[language, style])
        else:
            template = r.choice(SEPARATORS[language]).join("#" * r.choice((1, 2, 3)))
        labelled = _fill(r, template, language)
        yield labelled._replace(text=labelled.text.lower()) if style == "query" else labelled


def _fill(r: random.Random, template: str, language: str) -> LabelledText:
    """Replace each # by words, and each {} by personal data, whose place is noted."""
    text, spans = "", []
    for piece in template.replace("{}", "\0{}\0").replace("#", "\0#\0").split("\0"):
        if piece == "#":
            piece = write_words(r, language)
        elif piece == "{}":
            kind = r.choice(list(FORMS))
            written = r.choice(FORMS[kind][language])(r)
            name, data = ("", written) if isinstance(written, str) else written
            start = len(text) + len(name)
            spans.append(Span(start, start + len(data), kind))
            piece = name + data
        text += piece
    return LabelledText(text, tuple(spans))
