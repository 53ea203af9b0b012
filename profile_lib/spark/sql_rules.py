"""Check the Spark SQL expressions that a shop writes as rules."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark.errors import PySparkException

from profile_lib.errors import InputError

# A rule can't read other tables, call Java or hide text in a comment.
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


def check_rule(rule: str, columns: Sequence[str], where: str, frame_name: str) -> None:
    """Raise InputError unless the rule is a safe Spark SQL expression of `columns`.

    A rule consists of column names, literals, operators, KEYWORDS and FUNCTIONS, and names at least
    one column. It has no subquery, no comment and no function with an effect. `where` is the
    setting that holds the rule; `frame_name` names the table that has the columns.
    """
    names_column = False
    for word, is_called in _identifiers(rule, where):
        name = word.lower()
        if is_called and name not in FUNCTIONS | KEYWORDS:
            raise InputError(
                f"{where}: found the function {word}, wanted one of {', '.join(sorted(FUNCTIONS))}"
            )
        if is_called or (name in KEYWORDS and name not in columns):
            continue
        if name not in columns:
            near = difflib.get_close_matches(name, columns, N_SUGGESTED_COLUMNS) or sorted(columns)
            raise InputError(f"{where}: no column {word} in {frame_name}; wanted {', '.join(near)}")
        names_column = True
    if not names_column:
        raise InputError(
            f"{where}: {rule!r} names no column of {frame_name}, so it is the same for all rows; "
            f"wanted some of {', '.join(sorted(columns)[:N_LISTED_COLUMNS])}, …"
        )


def _identifiers(rule: str, where: str) -> Iterator[tuple[str, bool]]:
    """Yield each name in the rule except struct fields, and whether it is called."""
    position, previous = 0, ""
    while position < len(rule):
        token = TOKEN.match(rule, position)
        kind = token and token.lastgroup
        # Spark joins adjacent texts, so 'Can''t' would silently become Cant.
        if token is None or (kind == "text" and previous.endswith(("'", '"'))):
            raise InputError(
                f"{where}: found {rule[position : position + 20]!r} at character {position + 1}; "
                "wanted columns, numbers, operators and texts in '' or \"\""
            )
        position = token.end()
        is_called = kind in ("word", "text") and rule[position:].lstrip().startswith("(")
        if is_called or (kind == "word" and previous != "."):
            yield token[0], is_called
        previous = previous if kind == "space" else token[0]


@contextmanager
def describe_rule_errors(rule: str, where: str) -> Iterator[None]:
    """Raise InputError in place of Spark's error when a rule is parsed or computed."""
    try:
        yield
    except PySparkException as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{where}: {rule!r} cannot be computed: {reason}") from error
