"""Check the Spark SQL expressions that a shop writes as rules in its settings."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark.errors import PySparkException

from profile_lib.errors import InputError

# All names except these and the columns are refused: a rule cannot read other tables or call Java.
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
N_SUGGESTED_COLUMNS, N_LISTED_COLUMNS = 3, 8  # columns that an error message names


def check_rule(rule: str, columns: Sequence[str], setting: str, frame_name: str) -> None:
    """Raise InputError unless the rule is a safe Spark SQL expression of `columns`.

    A safe rule consists of column names, literals, operators, KEYWORDS and FUNCTIONS, and names at
    least one column. It has no subquery, no comment and no function with side effects. `setting`
    names the setting that holds the rule, and `frame_name` the table that has the columns.
    """
    names_column = False
    for word, is_called in _identifiers(rule, setting):
        name = word.lower()
        if is_called and name not in FUNCTIONS | KEYWORDS:
            raise InputError(
                f"{setting}: found the function {word}, "
                f"wanted one of {', '.join(sorted(FUNCTIONS))}"
            )
        if is_called or (name in KEYWORDS and name not in columns):
            continue
        if name not in columns:
            near = difflib.get_close_matches(name, columns, N_SUGGESTED_COLUMNS) or sorted(columns)
            raise InputError(
                f"{setting}: no column {word} in {frame_name}; wanted {', '.join(near)}"
            )
        names_column = True
    if not names_column:
        raise InputError(
            f"{setting}: {rule!r} names no column of {frame_name}, so it is the same for all rows; "
            f"wanted some of {', '.join(sorted(columns)[:N_LISTED_COLUMNS])}, …"
        )


def _identifiers(rule: str, setting: str) -> Iterator[tuple[str, bool]]:
    """Yield each name in the rule, and whether it is called as a function.

    Fields of structs are left out.
    """
    position, previous = 0, ""
    while position < len(rule):
        token = TOKEN.match(rule, position)
        kind = token and token.lastgroup
        # Spark joins adjacent texts, so 'Can''t' would silently become Cant.
        if token is None or (kind == "text" and previous.endswith(("'", '"'))):
            raise InputError(
                f"{setting}: found {rule[position : position + 20]!r} at character {position + 1}; "
                "wanted columns, numbers, operators and texts in '' or \"\""
            )
        position = token.end()
        is_called = kind in ("word", "text") and rule[position:].lstrip().startswith("(")
        if is_called or (kind == "word" and previous != "."):
            yield token[0], is_called
        previous = previous if kind == "space" else token[0]


@contextmanager
def describe_rule_errors(rule: str, setting: str) -> Iterator[None]:
    """Replace Spark's errors in the body, which parses or computes a rule, by InputError."""
    try:
        yield
    except PySparkException as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{setting}: {rule!r} cannot be computed: {reason}") from error
