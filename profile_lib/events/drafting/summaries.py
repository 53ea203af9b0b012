"""Summarise the values of a column without showing any of them."""

import re
from datetime import date
from functools import cached_property

import pandas as pd

from profile_lib.events.drafting.columns import Column
from profile_lib.events.drafting.times import FoundTimes, find_times

MAX_SHAPES = 2  # that a comment shows
MAX_SHAPE_CHARS = 40
NUMBER = r"[+-]?(\d+([.,]\d*)?|[.,]\d+|\d{1,3}([,. ']\d{3})+([.,]\d+)?)([eE][+-]?\d{1,3})?"
COMMA_NUMBER = r"[+-]?\d+(\.\d{3})*,(\d{1,2}|\d{4,})"  # a number whose decimal sign is a comma
POINT_NUMBER = r"[+-]?\d+(,\d{3})*\.(\d{1,2}|\d{4,})"
CURRENCY = r"([$€£¥₹₽₩₺₫₪฿]|R\$|kr|zł|Kč|[A-Z]{3} )"
SIGNED_MONEY = rf"{CURRENCY} ?[\d.,]+|[\d.,]+ ?{CURRENCY}| ?[\d.,]+ [A-Z]{{3}}"  # such as $12.50


class Summary:
    """Counts and shares of a column's values, without any value."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.path, self.sql = column.path, column.sql
        texts: pd.Series = column.values.dropna()
        texts = texts.map(str.strip)
        self.filled = texts[texts != ""]  # texts that are neither null nor empty
        self.n_rows, self.n_filled = len(column.values), len(self.filled)

    @property
    def share_filled(self) -> float:
        """The share of rows with a value."""
        return self.n_filled / max(self.n_rows, 1)

    @cached_property
    def n_distinct(self) -> int:
        """The number of distinct values."""
        return int(self.filled.nunique())

    @cached_property
    def counts(self) -> pd.Series:
        """The number of rows per value, most frequent first."""
        return self.filled.value_counts()

    @cached_property
    def times(self) -> FoundTimes | None:
        """How the values write times; None if they are no times."""
        if issubclass(self.column.type, date):
            return FoundTimes(1.0, has_zone=bool(self.filled.str.contains(r"[+-]\d\d:\d\d$").all()))
        return find_times(self.filled)

    def share(self, pattern: str) -> float:
        """Return the share of values that match a regular expression as a whole."""
        return float(self.filled.str.fullmatch(pattern).mean()) if self.n_filled else 0.0

    @cached_property
    def share_numbers(self) -> float:
        """The share of values that are numbers, with any decimal sign."""
        return self.share(NUMBER)

    @cached_property
    def share_whole(self) -> float:
        """The share of values that are whole numbers."""
        return self.share(r"[+-]?\d+([.]0+)?")

    @cached_property
    def has_comma(self) -> bool:
        """Whether the decimal sign is a comma."""
        return self.share(COMMA_NUMBER) > self.share(POINT_NUMBER)

    @cached_property
    def is_money_text(self) -> bool:
        """Whether amounts have a currency's sign, such as $12.50."""
        return self.share(SIGNED_MONEY) > 0.8

    @cached_property
    def numbers(self) -> pd.Series:
        """The values that are numbers."""
        texts = self.filled.str.replace(r"[^\d.,eE+-]", "", regex=True)
        if self.has_comma:
            texts = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        return pd.to_numeric(texts.str.replace(",", "", regex=False), errors="coerce").dropna()

    @cached_property
    def mean_length(self) -> float:
        """The mean number of characters of a value."""
        return float(self.filled.str.len().mean()) if self.n_filled else 0.0

    @cached_property
    def share_repeated(self) -> float:
        """The share of values that are equal to the one of the row before."""
        return float((self.filled == self.filled.shift()).mean()) if self.n_filled else 0.0

    def describe(self) -> str:
        """Describe the values: how many are filled and distinct, and their shapes."""
        shapes = self.filled.head(2_000).map(shape_of).value_counts(normalize=True)
        described = [
            f"{shape} {share:.0%}"
            for shape, share in shapes.head(MAX_SHAPES).items()
            if share > 0.05
        ]
        parts = [f"{self.n_distinct:,} distinct", *described]
        if self.share_filled < 1:
            parts.insert(0, f"{self.share_filled:.0%} filled")
        return ", ".join(parts)


def shape_of(text: str) -> str:
    """Return the shape of a text: a for letters, 9 for digits.

    >>> shape_of("2024-03-01 Zürich"), shape_of("Müller"), shape_of("x" * 50 + "@")
    ('9-9-9 a', 'a', 'a')
    """
    letters = re.sub(r"[^\W\d_]+", "a", text[:MAX_SHAPE_CHARS])
    return re.sub(r"(a ){3,}a", "a …", re.sub(r"\d+", "9", letters)).replace("\n", " ")


def determines(one: Summary, other: Summary) -> bool:
    """Return whether one column determines another, whose values repeat.

    So does an item with its category.
    """
    both = pd.DataFrame({"one": one.filled, "other": other.filled}).dropna()
    if both.empty or other.n_distinct >= one.n_distinct:
        return False
    n_others = both.groupby("one")["other"].nunique()
    return bool((n_others == 1).mean() >= 0.98 and len(both) > len(n_others))
