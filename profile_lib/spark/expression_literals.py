"""Check the literal arguments of SQL expressions that Spark would only refuse on a row."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.spark.session import session_conf

if TYPE_CHECKING:
    from profile_lib.spark.expression_tree import Node

# Arguments that must be literals: a value of a row could be an invalid pattern or a huge length.
LITERAL_ARGUMENTS = {
    "rlike": (1,), "regexp_like": (1,), "regexp_extract": (1, 2), "regexp_extract_all": (1, 2),
    "regexp_replace": (1, 2), "regexp_substr": (1,), "split": (1,), "split_part": (2,),
    "lpad": (1, 2), "element_at": (1,), "slice": (1, 2), "parse_url": (1, 2), "date_format": (1,),
    "try_to_timestamp": (1,), "sha2": (1,), "from_utc_timestamp": (1,), "to_utc_timestamp": (1,),
    "try_to_number": (1,), "to_date": (1,), "to_unix_timestamp": (1,), "round": (1,),
    "ceil": (1,), "floor": (1,), "try_element_at": (1,), "substring_index": (2,),
}  # fmt: skip
PATTERNS = {"rlike", "regexp_like", "regexp_extract", "regexp_extract_all", "regexp_replace"}
PATTERNS |= {"regexp_substr", "split"}  # functions whose second argument is a regular expression
# Positions count from 1: Spark raises an error for 0.
NON_ZERO_ARGUMENTS = {"element_at": 1, "try_element_at": 1, "slice": 1, "split_part": 2}
MAX_POSITION = 1_000_000  # the lowest number that Spark holds, as a position, ends its process
RANGES = {  # (function, argument) → the lowest and the highest number
    ("element_at", 1): (-MAX_POSITION, MAX_POSITION),
    ("try_element_at", 1): (-MAX_POSITION, MAX_POSITION),
    ("slice", 1): (-MAX_POSITION, MAX_POSITION),
    ("slice", 2): (0, MAX_POSITION),
    ("split_part", 2): (-MAX_POSITION, MAX_POSITION),
    ("substring_index", 2): (-MAX_POSITION, MAX_POSITION),
    ("lpad", 1): (0, 10_000),
    ("round", 1): (-100, 100),
    ("ceil", 1): (-100, 100),
    ("floor", 1): (-100, 100),
}
# A sample that does not follow a valid pattern is null, not an error.
TRIAL_CONF = {"spark.sql.ansi.enabled": "false", "spark.sql.legacy.timeParserPolicy": "CORRECTED"}
SAMPLE_TIME = "2024-01-02 03:04:05"
# Functions whose second argument is a pattern of times or a zone → a first argument to try it on.
SAMPLES: dict[str, Callable[[], Column]] = {
    "date_format": lambda: F.lit(SAMPLE_TIME).cast("timestamp"),
    "from_utc_timestamp": lambda: F.lit(SAMPLE_TIME).cast("timestamp"),
    "to_utc_timestamp": lambda: F.lit(SAMPLE_TIME).cast("timestamp"),
    "to_date": lambda: F.lit(SAMPLE_TIME),
    "to_unix_timestamp": lambda: F.lit(SAMPLE_TIME),
    "try_to_timestamp": lambda: F.lit(SAMPLE_TIME),
}


def check_literals(spark: SparkSession, node: "Node", label: str) -> None:
    """Raise InputError if a literal argument of a function or operator is invalid."""
    for index in LITERAL_ARGUMENTS.get(node.name, ()):
        if index < len(node.children):
            _check_argument(node, index, label)
    if node.kind in ("Like", "ILike"):
        _check_like(_pattern(node, "LIKE", label), str(node.value), label)
    elif node.kind == "RLike":
        _compile(spark, _pattern(node, "RLIKE", label), label)
    elif node.name in PATTERNS and len(node.children) > 1:
        _check_regular_expression(spark, node, label)
    elif node.name in SAMPLES and len(node.children) > 1:
        check_time_argument(spark, node.name, str(literal_value(node.children[1])), label)


def check_time_argument(spark: SparkSession, function: str, argument: str, label: str) -> None:
    """Raise InputError unless a pattern of times or a zone is valid."""
    column = F.call_function(function, SAMPLES[function](), F.lit(argument))
    _try(spark, column, f"{label}: {argument!r} in {function}")


def literal_value(node: "Node") -> str | None:
    """Return the text of a literal or of a signed number, else None."""
    if node.kind == "UnaryMinus" and node.children[0].kind == "Literal":
        return f"-{node.children[0].value}"
    return node.value if node.kind == "Literal" else None


def _check_argument(node: "Node", index: int, label: str) -> None:
    value = literal_value(node.children[index])
    if value is None:
        raise InputError(
            f"{label}: argument {index + 1} of {node.name} varies by row, wanted a literal"
        )
    if NON_ZERO_ARGUMENTS.get(node.name) == index and value == "0":
        raise InputError(f"{label}: found position 0 in {node.name}; positions count from 1")
    lowest, highest = RANGES.get((node.name, index), (None, None))
    if lowest is not None and highest is not None and not lowest <= _as_int(value) <= highest:
        raise InputError(
            f"{label}: found {value} as argument {index + 1} of {node.name}, wanted {lowest} to "
            f"{highest}"
        )


def _as_int(value: str) -> int:
    return int(value) if value.lstrip("-").isdigit() else 0


def _pattern(node: "Node", function: str, label: str) -> str:
    pattern = literal_value(node.children[1])
    if pattern is None:
        raise InputError(f"{label}: the pattern of {function} varies by row, wanted a literal")
    return pattern


def _check_like(pattern: str, escape: str, label: str) -> None:
    """Check that the escape character stands before %, _ or itself, as Spark wants it."""
    escaped = re.compile(f"{re.escape(escape)}[%_{re.escape(escape)}]")
    if escape in escaped.sub("", pattern):
        raise InputError(
            f"{label}: pattern {pattern!r} of LIKE is invalid: found {escape!r}, which escapes the "
            "next character, before another one than % and _"
        )


def _check_regular_expression(spark: SparkSession, node: "Node", label: str) -> None:
    """Check the pattern of a function, and references to its groups."""
    pattern = _pattern(node, node.name, label)
    n_groups = _compile(spark, pattern, label).matcher("").groupCount()
    other = literal_value(node.children[2]) if len(node.children) > 2 else None
    if node.name.startswith("regexp_extract"):
        group = 1 if other is None else _as_int(other)
        if not 0 <= group <= n_groups:
            raise InputError(
                f"{label}: found group {group} in {node.name}; the pattern {pattern!r} has "
                f"{n_groups}"
            )
    elif node.name == "regexp_replace" and other is not None:
        always = _compile(spark, f"(?:{pattern})|", label)  # matches any text
        with _explained(f"{label}: replacement {other!r} in {node.name}"):
            always.matcher("").replaceFirst(other)


def _compile(spark: SparkSession, pattern: str, label: str) -> Any:
    """Return Java's compiled pattern."""
    with _explained(f"{label}: pattern {pattern!r}"):
        return spark._jvm.java.util.regex.Pattern.compile(pattern)  # type: ignore[union-attr]


def _try(spark: SparkSession, column: Column, what: str) -> None:
    """Raise InputError if Spark cannot compute a column of literals."""
    with _explained(what), session_conf(spark, TRIAL_CONF):
        spark.range(1).select(column)._jdf.queryExecution().optimizedPlan()


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Replace errors of the JVM in the body by InputError."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        java = getattr(error, "java_exception", None)
        text = str(error) if java is None else str(java.getMessage())
        reason = next(line for line in text.splitlines() if line.strip())
        raise InputError(f"{what} is invalid: {reason.split(' SQLSTATE')[0]}") from error
