"""Recognise the language of a text by its script and its function words."""

from collections import Counter

import regex

from profile_lib.texts.function_words import FUNCTION_WORDS, NAMES

HAN_WEIGHT = 3  # a Chinese character says about as much as so many letters of an alphabet

# script → the language that most shops write in it; function words decide in Latin script
SCRIPTS = {
    "Latin": "Latin", "Han": "zh", "Hiragana": "ja", "Katakana": "ja", "Hangul": "ko",
    "Cyrillic": "ru", "Greek": "el", "Arabic": "ar", "Hebrew": "he", "Thai": "th",
    "Devanagari": "hi", "Bengali": "bn", "Tamil": "ta", "Telugu": "te", "Gujarati": "gu",
    "Kannada": "kn", "Malayalam": "ml", "Sinhala": "si", "Khmer": "km", "Lao": "lo",
    "Myanmar": "my", "Georgian": "ka", "Armenian": "hy", "Ethiopic": "am",
}  # fmt: skip
# Letters that, among the languages common in shops, only one language of their script has.
LETTERS = {
    "Latin": {"ß": "de", "ğı": "tr", "łż": "pl", "řů": "cs", "őű": "hu", "ơư": "vi"},
    "ru": {"іїєґ": "uk", "ў": "be", "ђјљњћџ": "sr"},
    "ar": {"پچژگ": "fa", "ٹڈڑں": "ur"},
}
SIGNS: dict[str, dict[str, tuple[str, ...]]] = {  # script → letter or word → languages that have it
    script: {letter: (language,) for letters, language in groups.items() for letter in letters}
    for script, groups in LETTERS.items()
}
SIGNS["Latin"] |= {
    word: tuple(language for language, words in FUNCTION_WORDS.items() if word in words)
    for word in frozenset().union(*FUNCTION_WORDS.values()) - NAMES
    if len(word) > 1  # a single letter is mostly a size or a model
}

SCRIPT_RUN = regex.compile("|".join(rf"(?P<{script}>\p{{{script}}}+)" for script in SCRIPTS))
WORD = regex.compile(r"[\p{L}\p{M}']+")


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language; None if it is uncertain.

    A script decides by itself if more than half of the letters are of it. In Latin script the
    language with the most function words and letters of its own does: a title without any, or with
    as many of two languages, has none. Han characters are Chinese, unless there are kana as well; a
    lone の, which Chinese titles use as an ornament, leaves the language uncertain.

    >>> [language_of(text) for text in ("mugs for men", "運動鞋", "走る靴", "für dich", "mug")]
    ['en', 'zh', 'ja', 'de', None]
    """
    text = text.lower()
    script = _main_script(text)
    if script not in SIGNS:
        return script
    signs = SIGNS[script]
    votes = Counter(
        language for sign in (*text, *WORD.findall(text)) for language in signs.get(sign, ())
    )
    (best, n_best), (_, n_second) = [*votes.most_common(2), (None, 0), (None, 0)][:2]
    if n_best > n_second:
        return best
    return None if script == "Latin" else script


def _main_script(text: str) -> str | None:
    """Return the value of SCRIPTS that more than half of the letters have, else None."""
    n_letters: Counter[str] = Counter()
    for run in SCRIPT_RUN.finditer(text):
        script = SCRIPTS[str(run.lastgroup)]
        n_letters[script] += len(run[0]) * (HAN_WEIGHT if script == "zh" else 1)
    if n_letters["ja"] > text.count("の"):
        n_letters["ja"] += n_letters.pop("zh", 0)
    elif n_letters["ja"]:
        return None
    script, n = max(n_letters.items(), key=lambda pair: pair[1], default=("", 0))
    return script if 2 * n > n_letters.total() else None
