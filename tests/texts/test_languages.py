"""Check which texts have a recognisable language."""

import pytest

from profile_lib.texts.languages import language_of


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh", "运动鞋"), ("zh", "運動鞋"), ("zh", "Roselle 环保香水 白色"), ("ja", "ランニング靴"),
        ("ja", "走る靴"), ("ko", "운동화"), ("ru", "кроссовки Nike"), ("uk", "взуття для її дітей"),
        ("el", "παπούτσια"), ("ar", "حذاء رياضي"), ("fa", "کفش گرم"), ("he", "נעליים"),
        ("th", "รองเท้า"), ("hi", "जूते"),
    ],
)  # fmt: skip
def test_a_script_decides_the_language(language, text):
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Running shoes for men"), ("de", "Schuhe für Kinder"), ("de", "Fußball"),
        ("fr", "chaussures pour femmes"), ("es", "zapatos de mujer con lazo y tacón"),
        ("it", "scarpe della festa"), ("pt", "sapatos não usados"), ("pl", "buty dla dzieci"),
        ("nl", "schoenen voor het kind"), ("sv", "kläder för barn"), ("tr", "çocuk için ayakkabı"),
    ],
)  # fmt: skip
def test_function_words_and_letters_decide_in_latin_script(language, text):
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text", ["", "123 !", "mug", "Le Creuset", "Coupé de Ville", "Galaxy S21 Ultra 壳", "鲜の味"]
)
def test_an_uncertain_text_has_no_language(text):
    assert language_of(text) is None
