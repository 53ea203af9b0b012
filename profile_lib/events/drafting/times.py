"""Recognise how times are written: their unit, or their pattern."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import NamedTuple

import pandas as pd

from profile_lib.events.values import ISO_TIME, OFFSET, UNITS_PER_SECOND

FIRST_YEAR, LAST_YEAR = 1990, 2050  # of plausible times
ISO = ""  # pattern of texts that need none
MIN_SHARE = 0.9  # share of the values that have to be times
N_VALUES, N_PROBES = 2_000, 20  # distinct values that are read, and those that are tried first
DAY = "day"
# Spark's pattern letters → regular expression; `a` stands for AM or PM.
LETTERS = {
    "yyyy": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{2})", "M": r"(?P<month>\d{1,2})",
    "dd": r"(?P<day>\d{2})", "d": r"(?P<day>\d{1,2})", "HH": r"(?P<hour>\d{2})",
    "H": r"(?P<hour>\d{1,2})", "hh": r"(?P<hour>\d{2})", "h": r"(?P<hour>\d{1,2})",
    "mm": r"(?P<minute>\d{2})", "ss": r"(?P<second>\d{2})", "SSS": r"\d{3}", "SSSSSS": r"\d{6}",
    "a": "(?:AM|PM)", "MMM": "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
}  # fmt: skip
TOKEN = re.compile("|".join(sorted(LETTERS, key=len, reverse=True)))
RANGES = {"year": (FIRST_YEAR, LAST_YEAR), "month": (1, 12), "day": (1, 31), "hour": (0, 24)}
RANGES |= {"minute": (0, 59), "second": (0, 59)}
DATES = [  # of equally good patterns, the first is taken
    "yyyyMMdd", "yyyy{s}MM{s}dd", "dd{s}MM{s}yyyy", "MM{s}dd{s}yyyy", "yyyy{s}M{s}d",
    "d{s}M{s}yyyy", "M{s}d{s}yyyy", "dd{s}MMM{s}yyyy", "d{s}MMM{s}yyyy",
]  # fmt: skip
SEPARATORS = ("-", "/", ".")
CLOCKS = [
    "", "HHmmss", "HH", "HH:mm:ss.SSSSSS", "HH:mm:ss.SSS", "HH:mm:ss", "HH:mm", "H:mm:ss", "H:mm",
    "hh:mm:ss a", "h:mm:ss a", "hh:mm a", "h:mm a",
]  # fmt: skip


class FoundTimes(NamedTuple):
    """How a column writes times.

    `pattern` is Spark's, or ISO; `unit` is that of numbers. `certainty` is below 1 if the values
    fit other patterns too, such as 03/04/2024.
    """

    share: float  # of the filled values
    unit: str | None = None
    pattern: str = ISO
    certainty: float = 1.0
    has_zone: bool = False  # whether each value says its offset; true for numbers too
    precision: str | None = None  # DAY if the values are days alone


def find_times(values: pd.Series) -> FoundTimes | None:
    """Recognise the times of filled values, which are texts; None if they are no times.

    Numbers and ISO 8601 may be mixed, as a mapping reads both.
    """
    if values.empty:
        return None
    iso = values.str.fullmatch(ISO_TIME.strip("^$"))
    is_number = values.str.fullmatch(r"\d{9,19}([.]\d{1,9})?")
    unit, n_times = _find_unit(values[is_number & ~iso])
    share = float(iso.sum() + n_times) / len(values)
    if share < MIN_SHARE:
        return _find_pattern(values)
    texts = values[iso]
    has_zone = texts.empty or bool(texts.str.count(OFFSET).mean() > MIN_SHARE)
    is_day = unit is None and texts.str.len().max() <= len("2024-01-31")
    return FoundTimes(share, unit, has_zone=has_zone, precision=DAY if is_day else None)


def _find_unit(texts: pd.Series) -> tuple[str | None, int]:
    """Return the unit by which numbers are plausible times, and how many are."""
    numbers = texts.astype(float)
    low, high = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (FIRST_YEAR, LAST_YEAR))
    fits = {
        unit: int((numbers / factor).between(low, high).sum())
        for unit, factor in UNITS_PER_SECOND.items()
    }
    unit = max(fits, key=lambda name: fits[name])
    return (unit, fits[unit]) if fits[unit] else (None, 0)


def _patterns() -> Iterator[str]:
    for date, clock in product(DATES, CLOCKS):
        joints = [""] if not clock else [" ", "'T'", ""] if date == "yyyyMMdd" else [" ", "'T'"]
        separators = SEPARATORS if "{s}" in date else ("",)
        for joint, separator in product(joints, separators):
            yield date.format(s=separator) + joint + clock


def to_regex(pattern: str) -> str:
    """Return the regular expression of a pattern.

    >>> to_regex("d.M.yyyy'T'HH")
    '(?P<day>\\\\d{1,2})[.](?P<month>\\\\d{1,2})[.](?P<year>\\\\d{4})T(?P<hour>\\\\d{2})'
    """
    parts = TOKEN.split(pattern.replace("'", ""))
    tokens = TOKEN.findall(pattern.replace("'", ""))
    literals = [part.replace(".", "[.]") for part in parts]
    return literals[0] + "".join(
        LETTERS[t] + part for t, part in zip(tokens, literals[1:], strict=True)
    )


def _find_pattern(values: pd.Series) -> FoundTimes | None:
    """Return the pattern that fits most values; one that others contradict is uncertain."""
    distinct = values.drop_duplicates().head(N_VALUES).tolist()
    probable = [p for p in PATTERNS if _share(distinct[:N_PROBES], p) >= MIN_SHARE]
    shares = {pattern: _share(distinct, pattern) for pattern in probable}
    pattern = max(shares, key=lambda p: shares[p], default=ISO)
    if shares.get(pattern, 0.0) < MIN_SHARE:
        return None
    rivals = [p for p in shares if shares[p] == shares[pattern] and is_other_order(p, pattern)]
    is_day = not any(letter in pattern for letter in "Hh")
    return FoundTimes(
        shares[pattern],
        pattern=pattern,
        certainty=(0.9 if "." in pattern else 0.5) if rivals else 1.0,  # dots: the day is first
        precision=DAY if is_day else None,
    )


def is_other_order(pattern: str, other: str) -> bool:
    """Return whether two patterns read days and months in another order.

    >>> is_other_order("MM/dd/yyyy", "dd/MM/yyyy"), is_other_order("d/M/yyyy", "dd/MM/yyyy")
    (True, False)
    """
    return (pattern.index("d") < pattern.index("M")) != (other.index("d") < other.index("M"))


def _share(values: list[str], pattern: str) -> float:
    """Return the share of values that a pattern reads as a plausible time."""
    regex = REGEXES[pattern]
    return sum(_fits(regex.fullmatch(value)) for value in values) / max(len(values), 1)


def _fits(match: re.Match[str] | None) -> bool:
    if match is None:
        return False
    parts = match.groupdict().items()
    return all(RANGES[k][0] <= int(v) <= RANGES[k][1] for k, v in parts)


def find_clock(values: pd.Series) -> str | None:
    """Return the pattern of times of day, such as 9:30, or None."""
    fits = values.str.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?")
    if values.empty or fits.mean() < MIN_SHARE:
        return None
    first = values[fits]
    hours = "H" if (first.str.index(":") == 1).any() else "HH"
    return f"{hours}:mm:ss" if (first.str.count(":") == 2).all() else f"{hours}:mm"


PATTERNS = tuple(_patterns())
REGEXES = {pattern: re.compile(to_regex(pattern)) for pattern in PATTERNS}
