"""Find phone numbers as some countries write them, and international ones.

A run of digits and signs is split into its groups. Consecutive groups are a number if a country
writes its numbers so; libphonenumber knows which areas exist. Its own PhoneNumberMatcher takes 20
times as long, and accepts any grouping, such as the sizes "36 37 38 39 40".
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import phonenumbers
from stdnum import ean, isbn

from profile_lib.events.recognisers import Span
from profile_lib.events.recognisers.phone_forms import (
    DATE,
    FICTITIOUS,
    FORMS,
    NAMED_CODE,
    NAMED_PHONE,
    QUANTITY,
    ZIP_CODE,
    Form,
)

MIN_DIGITS, MAX_DIGITS = 7, 15  # of a phone number, by E.164
MAX_DIGITS_OF_NAMED = 12  # without a country's form, behind a word such as "tel"
MIN_AREA_DIGITS = 3  # of a number that words name
MAX_GROUPS = 7
LISTED_STEPS, MAX_STEP = 3, 10  # equal steps between groups, at most this large, make a list
MAX_COUNTRY_DIGITS = 3
RUN = re.compile(r"(?<!\d)[+(]{0,2}\d(?:(?: ?[/-] ?| {1,2}\(?|\(|\)[ -]?|\.)?\d){6,}")
GROUP, SIGNS = re.compile(r"\d+"), re.compile(r"[^\d()]+")
TRUNK_PREFIX = re.compile(r"\(0\)")  # as in +44 (0)20 7946 0958
EXTENSION = re.compile(r"[ ,]{0,2}(?:(?:ext\.?|extension|转|分机) ?|x)\d{1,6}(?!\d)", re.IGNORECASE)
CONTEXT_CHARS, AFTER_CHARS = 40, 12  # around a number, where its name or unit stands
IN_PATH = re.compile(r"(?:://|www\.|(?:^|\s)/)\S*$")
GLUED = re.compile(  # to a code or a price
    r"(?:[A-Za-z0-9_][-._]|[A-Za-z_=&%\\$£€¥]|(?<!\d)/|[$£€¥] ?(?:\d{1,3},)+)$"
)


class _Run(NamedTuple):
    """A run of digits and signs, with the spans of its groups.

    The words before it say whether it is a phone or a code. If `is_part`, its first group belongs
    to a code, a price or a path.
    """

    text: str
    groups: list[Span]
    is_named: bool
    is_code: bool
    is_part: bool


class _Number(NamedTuple):
    """Consecutive groups of a run that may be a phone number."""

    text: str
    groups: list[str]
    after: str
    is_named: bool
    is_code: bool


def find_phones(text: str) -> Iterator[Span]:
    """Yield phone numbers with their extension."""
    for match in RUN.finditer(text):
        run = _read_run(text, match)
        first = int(run.is_part)
        while first < len(run.groups):
            last = _last_group(run, first)
            if last is not None:
                end = run.groups[last][1]
                extension = EXTENSION.match(text, end)
                yield _start_of_number(run, first, end), extension.end() if extension else end
                first = last
            first += 1


def _read_run(text: str, match: re.Match[str]) -> _Run:
    start = match.start()
    groups = [group.span() for group in GROUP.finditer(text, *match.span())]
    before = text[max(0, start - CONTEXT_CHARS) : start]
    if NAMED_PHONE.search(before):
        return _Run(text, groups, is_named=True, is_code=False, is_part=False)
    has_sign = match[0][0] in "+("
    is_part = not has_sign and bool(GLUED.search(before) or IN_PATH.search(before))
    return _Run(text, groups, False, NAMED_CODE.search(before) is not None, is_part)


def _start_of_number(run: _Run, first: int, end: int) -> int:
    """Return where a number starts, with its plus sign and a bracket that it closes."""
    start = run.groups[first][0]
    floor = run.groups[first - 1][1] if first else max(0, start - 2)
    while start > floor and run.text[start - 1] in "+(":
        start -= 1
    return start + (run.text[start] == "(" and ")" not in run.text[start:end])


def _last_group(run: _Run, first: int) -> int | None:
    """Return the last group of the longest number that starts with the group `first`."""
    if not _is_boundary(run, first):
        return None
    names = (run.is_named, run.is_code) if first == 0 else (False, False)
    n_digits, longest = 0, None
    for last in range(first, min(len(run.groups), first + MAX_GROUPS)):
        begin, end = run.groups[last]
        n_digits += end - begin
        if n_digits > MAX_DIGITS:
            break
        if n_digits >= MIN_DIGITS and _is_boundary(run, last + 1):
            written = run.text[_start_of_number(run, first, end) : end]
            digits = GROUP.findall(TRUNK_PREFIX.sub("", written))
            number = _Number(written, digits, run.text[end : end + AFTER_CHARS], *names)
            if _is_phone(number) or (number.is_named and _may_be_local(number)):
                longest = last
    return longest


def _is_boundary(run: _Run, index: int) -> bool:
    """Return whether a number may start with a group, and another end before it."""
    if index in (0, len(run.groups)):
        return True
    between = run.text[run.groups[index - 1][1] : run.groups[index][0]]
    return any(sign in between for sign in " /(")


def _is_phone(number: _Number) -> bool:
    joined = "".join(number.groups)
    if "+" in number.text:
        return number.text.lstrip("(").startswith("+") and _is_possible(joined)
    is_bare = len(number.groups) == 1
    if is_bare and not number.is_named and (ean.is_valid(joined) or isbn.is_valid(joined)):
        return False
    if joined.startswith("00"):
        is_grouped = len(number.groups[0]) <= len("00") + MAX_COUNTRY_DIGITS
        may_be_phone = is_grouped or not number.is_code
        return may_be_phone and _is_possible(joined[2:], must_exist=not is_grouped)
    return any(
        form.groups.fullmatch(" ".join(number.groups))
        and form.needed_sign in number.text
        and _is_likely(form, number)
        for form in FORMS
    )


def _may_be_local(number: _Number) -> bool:
    """Return whether digits named as a phone may be one without a country's form."""
    first = number.groups[0]
    if len(number.groups) > 1 and len(first) >= MIN_DIGITS:
        return False  # the first group alone is a number
    has_area = len(first) >= MIN_AREA_DIGITS or first.startswith("0")
    has_one_sign = len(set(SIGNS.findall(number.text))) <= 1
    is_short = len("".join(number.groups)) <= MAX_DIGITS_OF_NAMED
    is_else = DATE.match(number.text) or QUANTITY.match(number.after)
    return has_area and has_one_sign and is_short and not is_else


def _is_possible(international: str, must_exist: bool = False) -> bool:
    """Return whether a country has numbers of this length, or also of this area."""
    try:
        number = phonenumbers.parse(f"+{international}")
    except phonenumbers.NumberParseException:
        return False
    if must_exist:
        return phonenumbers.is_valid_number(number)
    return phonenumbers.is_possible_number(number)


def _is_likely(form: Form, number: _Number) -> bool:
    """Return whether a number of a form is no quantity, ZIP code or product code."""
    if form.weak_signs is None or number.is_named:
        return True
    if QUANTITY.match(number.after) and not EXTENSION.match(number.after):
        return False
    if _is_list(number.groups):
        return False
    if ZIP_CODE.fullmatch(number.text) or {".", "-"} <= set(number.text):
        return False
    if not all(c.isdigit() or c in form.weak_signs for c in number.text):
        return True
    if number.is_code:
        return False
    if form.region == "US" and FICTITIOUS.match("".join(number.groups)):
        return True
    return phonenumbers.is_valid_number(phonenumbers.parse(number.text, form.region))


def _is_list(groups: list[str]) -> bool:
    """Return whether groups rise by equal steps, such as 06 08 10 12."""
    steps = [int(b) - int(a) for a, b in pairwise(groups)]
    runs = (steps[i : i + LISTED_STEPS] for i in range(len(steps) - LISTED_STEPS + 1))
    return any(len(set(run)) == 1 and 0 < run[0] <= MAX_STEP for run in runs)
