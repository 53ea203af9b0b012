"""Find numbers with a check: payment cards, IBANs and national numbers of persons."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from stdnum import iban, luhn, numdb
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.se import personnummer
from stdnum.us import itin, ssn

from profile_lib.events.recognisers import Span

SEPARATORS = str.maketrans("", "", " .-")
# The lookahead lets candidates overlap: "2024 4111 1111 1111 1111" holds two runs of four groups.
CARDS = [
    re.compile(rf"(?<![\d_/=])(?<!\d\.)(?=({form})(?![\d_]))", re.ASCII)
    for form in (
        r"\d{4}([ .-]{1,2})\d{4}\2\d{4}\2\d{4}",
        r"\d{4}([ .-])\d{4}\2\d{4}\2\d{4}\2\d{3}",
        r"\d{4}([ .-])\d{6}\2\d{4,5}",
        r"\d{6}[ -]\d{13}",
        r"\d{14,19}",
    )
]
# The prefixes and lengths of Visa, Mastercard, American Express, Diners Club, JCB, Discover,
# UnionPay and Maestro.
ISSUERS = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12,15}"
)
NINO_LETTER = "[A-CEGHJ-PR-TW-Z]"
IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2})\d{2}(?:[ .-]?[A-Za-z0-9]){11})")
LENGTHS = re.compile(r"(\d+)!")  # in stdnum's structure of an IBAN, such as 4!a6!n8!n


def _is_resident_number(number: str) -> bool:
    """Return whether a Chinese identity number has a true date and check digit (GB 11643).

    stdnum also wants the county to have existed in the year of birth, but the number names the
    county that issued it.
    """
    compact = number.translate(SEPARATORS)
    try:
        ric.get_birth_date(compact)
    except ValidationError:
        return False
    return ric.calc_check_digit(compact) == compact[-1]


def _is_social_security_number(number: str) -> bool:
    dashed = number.replace(" ", "-")
    return ssn.is_valid(dashed) or itin.is_valid(dashed)


# The forms of national numbers of persons and their checks. Product texts rarely hold such a form,
# or rarely pass its check. NINO, the British one, has no check digit: in one word it needs a prefix
# that exists; examples such as QQ 12 34 56 C have others.
NATIONAL_NUMBERS: tuple[tuple[str, Callable[[str], bool] | None], ...] = (
    (r"[1-8]\d{5}[ -]?(?:19|20)\d{6}[ -]?\d{3}[\dX]", _is_resident_number),
    (r"\d{3}([ -])\d\d\1\d{4}", _is_social_security_number),
    (r"[A-Z]{2} \d\d ?\d\d ?\d\d ?[A-D]", None),
    (rf"(?!BG|GB|KN|NK|NT|TN|ZZ){NINO_LETTER}(?!O){NINO_LETTER}(?:\d\d[ -]?){{3}}[A-D]", None),
    (r"[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", nir.is_valid),
    (r"\d{8}-?[A-Z]", dni.is_valid),
    (r"[XYZ]-?\d{7}-?[A-Z]", nie.is_valid),
    (r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]", codicefiscale.is_valid),
    (r"756\.\d{4}\.\d{4}\.\d\d", ahv.is_valid),
    (r"\d{6}[-+A]\d{3}[0-9A-Y]", hetu.is_valid),
    (r"\d{6}[-+]\d{4}", personnummer.is_valid),
    (r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d", curp.is_valid),
    (r"(?<!\d[ -])[2-9]\d{3}([ -])\d{4}\1\d{4}(?![ -]\d)", aadhaar.is_valid),
    (r"\d{3}\.\d{3}\.\d{3}-\d\d", cpf.is_valid),
    (r"\d{6}-\d{7}", rrn.is_valid),
    (r"\d{3}-\d{3}-\d{3}", sin.is_valid),
)
COMPILED_NUMBERS = [
    (re.compile(rf"(?<![A-Za-z0-9_/=.-]){form}(?![A-Za-z0-9_-])", re.IGNORECASE), is_valid)
    for form, is_valid in NATIONAL_NUMBERS
]
# A QQ number is an account and an e-mail address, and written in Chinese reviews as often as these.
NAMED_ACCOUNT = re.compile(r"(?<![a-z])qq(?:[ :]|号码?|[是为：])*(\d{5,11})(?!\d)", re.IGNORECASE)
# Words that name the kind stand for the check, so that a mistyped number is masked as well.
NAMED_NUMBER = re.compile(
    r"(?:\bssn|social security|national insurance|\bnino|身份证)"
    r"(?:[ :#]|no\b\.?|number|is\b|号码?|[是为：])*"
    r"(\d{17}[\dX]|\d{15}|\d{3}[ -]?\d\d[ -]?\d{4}|[A-Z]{2}\d{6}[A-D])(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def find_cards(text: str) -> Iterator[Span]:
    """Yield card numbers: an issuer's prefix and length, and the check digit (Luhn)."""
    for form in CARDS:
        for match in form.finditer(text):
            number = match[1].translate(SEPARATORS)
            if ISSUERS.fullmatch(number) and luhn.is_valid(number):
                yield match.span(1)


def find_ibans(text: str) -> Iterator[Span]:
    """Yield IBANs (ISO 13616) with the structure of their country and a true check."""
    for match in IBAN.finditer(text):
        form = _iban_form(match[1].upper())
        candidate = form.match(text, match.start()) if form else None
        if candidate and iban.is_valid(candidate[0], check_country=False):
            yield candidate.span()


@cache
def _iban_form(country: str) -> re.Pattern[str] | None:
    """Return the pattern of a country's IBAN; None if the country has none."""
    _, properties = numdb.get("iban").info(country)[0]
    if not properties:
        return None
    n_more = sum(map(int, LENGTHS.findall(properties["bban"]))) + 2
    return re.compile(
        rf"[A-Z]{{2}}(?:[ .-]?[A-Z0-9]){{{n_more}}}(?![A-Z0-9])", re.IGNORECASE | re.ASCII
    )


def find_national_numbers(text: str) -> Iterator[Span]:
    """Yield numbers of persons that pass their check, or that words name."""
    for form, is_valid in COMPILED_NUMBERS:
        for match in form.finditer(text):
            if is_valid is None or is_valid(match[0].upper()):
                yield match.span()
    for named in (NAMED_NUMBER, NAMED_ACCOUNT):
        yield from (match.span(1) for match in named.finditer(text))
