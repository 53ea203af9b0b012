"""Rules that a shop writes, in words of Spark SQL: checked before they are computed."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark.errors import PySparkException

from profile_lib.errors import InputError

# What a rule may hold: nothing that reads other tables, calls Java or hides what comes after it.
KEYWORDS = {
    "and", "or", "not", "in", "is", "null", "true", "false", "between", "like", "ilike", "rlike",
    "case", "when", "then", "else", "end", "date", "timestamp", "interval", "day", "days", "hour",
    "hours", "week", "weeks", "month", "months", "year", "years",
}  # fmt: skip
FUNCTIONS = {
    "abs", "array_contains", "array_size", "arrays_overlap", "ceil", "coalesce", "contains",
    "date_add", "date_diff", "date_sub", "datediff", "dayofweek", "element_at", "endswith", "floor",
    "get", "greatest", "hour", "if", "ifnull", "least", "length", "ln", "lower", "map_contains_key",
    "map_from_entries", "month", "nullif", "pmod", "round", "size", "startswith", "to_date",
    "try_divide", "try_element_at", "upper", "year",
}  # fmt: skip
TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<text>'[^'\\]*'|"[^"\\]*") | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d]\w*) | (?P<sign><=>|<>|!=|<=|>=|==|[=<>+*%()\[\],.]|-(?!-)|/(?!\*))""",
    re.VERBOSE,
)
N_SUGGESTED, N_LISTED = 3, 8  # columns that are told where one was not found, or none was named


def check_rule(rule: str, columns: Sequence[str], where: str, frame_name: str) -> None:
    """Raise InputError, which names `where` the rule stands, unless it keeps to what rules may be.

    That is a Spark SQL expression of `columns` of what is named `frame_name`, literals, operators, KEYWORDS
    and FUNCTIONS: no subquery, no comment, no function with an effect. Wanted is one column or
    more.
    """
    named = []
    for word, is_called in _identifiers(rule, where):
        name = word.lower()
        if is_called and name not in FUNCTIONS | KEYWORDS:
            raise InputError(
                f"{where}: found the function {word}, wanted one of {', '.join(sorted(FUNCTIONS))}"
            )
        if is_called or (name in KEYWORDS and name not in columns):
            continue
        if name not in columns:
            near = difflib.get_close_matches(name, columns, N_SUGGESTED) or sorted(columns)
            raise InputError(f"{where}: no column {word} in {frame_name}; wanted {', '.join(near)}")
        named.append(name)
    if not named:
        raise InputError(
            f"{where}: {rule!r} names no column of {frame_name}, so it says the same of all; wanted some "
            f"of {', '.join(sorted(columns)[:N_LISTED])}, …"
        )


def _identifiers(rule: str, where: str) -> Iterator[tuple[str, bool]]:
    """Each name in the rule but fields of another one, and whether it is called."""
    place, before = 0, ""
    while place < len(rule):
        token = TOKEN.match(rule, place)
        kind = token and token.lastgroup
        # Spark joins two texts, so 'Can''t' would silently be Cant.
        if token is None or (kind == "text" and before.endswith(("'", '"'))):
            raise InputError(
                f"{where}: {rule[place : place + 20]!r} at character {place + 1} has no place in a "
                "rule; wanted columns, numbers, operators and texts in '' or \"\""
            )
        place = token.end()
        is_called = kind in ("word", "text") and rule[place:].lstrip().startswith("(")
        if is_called or (kind == "word" and before != "."):
            yield token[0], is_called
        before = before if kind == "space" else token[0]


@contextmanager
def describe_rule_errors(rule: str, where: str) -> Iterator[None]:
    """Raise InputError in place of what Spark says of a rule, be it read or computed."""
    try:
        yield
    except PySparkException as error:
        said = str(error).strip().splitlines()[0]
        raise InputError(f"{where}: {rule!r} cannot be computed: {said}") from error
