"""Parse SQL expressions by Spark's own parser, and allow only safe ones.

The checks read the tree that Spark itself would run, so that no text can be read in two ways.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from profile_lib.errors import InputError, did_you_mean
from profile_lib.spark.expression_literals import check_literals

# With these settings, an expression that fails on a row returns null there, on every version.
LENIENT_CONF = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.caseSensitive": "true",  # names of a source may differ in case alone
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.json.enablePartialResults": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
}
# Classes of Spark's tree that an expression may consist of, beside functions.
SYNTAX = {
    "UnresolvedAttribute", "UnresolvedNamedLambdaVariable", "UnresolvedExtractValue", "Literal",
    "LambdaFunction", "Cast", "TryCast", "Add", "Subtract", "Multiply", "Divide", "IntegralDivide",
    "Remainder", "UnaryMinus", "UnaryPositive", "And", "Or", "Not", "EqualTo", "EqualNullSafe",
    "LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual", "IsNull", "IsNotNull", "In",
    "Like", "ILike", "RLike", "Between", "CaseWhen", "If",
    "Concat", "Substring", "StringTrim", "StringTrimLeft", "StringTrimRight", "StringLocate",
}  # fmt: skip
# Functions without side effects, without access to anything but their arguments, and whose result
# for any argument is a value or null.
FUNCTIONS = {
    "abs", "array", "array_compact", "array_contains", "array_distinct", "array_except",
    "array_intersect", "array_join", "array_max", "array_min", "array_position", "array_size",
    "array_union", "arrays_overlap", "ascii", "between", "btrim", "cardinality", "ceil",
    "char_length", "coalesce", "concat", "concat_ws", "contains", "date_add", "date_diff",
    "date_format", "date_part", "date_sub", "date_trunc", "datediff", "dayofweek", "element_at",
    "endswith", "exists", "extract", "filter", "flatten", "floor", "forall", "from_utc_timestamp",
    "get", "get_json_object", "greatest", "hour", "if", "ifnull", "initcap", "instr", "isnotnull",
    "isnull", "lcase", "least", "left", "length", "ln", "locate", "lower", "lpad", "ltrim",
    "map_contains_key", "map_filter", "map_keys", "map_values", "md5", "minute", "month", "nanvl",
    "negative", "nullif", "nvl", "nvl2", "parse_url", "pmod", "position", "pow", "regexp_extract",
    "regexp_extract_all", "regexp_like", "regexp_replace", "regexp_substr", "replace", "reverse",
    "right", "rlike", "round", "rtrim", "second", "sha2", "sign", "size", "slice", "split",
    "split_part", "startswith", "substr", "substring", "substring_index",
    "to_date", "to_unix_timestamp", "to_utc_timestamp", "transform", "translate", "trim",
    "try_add", "try_divide", "try_element_at", "try_multiply", "try_subtract", "try_to_number",
    "try_to_timestamp", "ucase", "unix_micros", "unix_millis", "unix_seconds",
    "upper", "weekday", "when", "year",
}  # fmt: skip
LAMBDAS = {"exists", "filter", "forall", "map_filter", "transform"}  # functions with x -> …
CAST_TYPES = re.compile(
    r"string|double|float|integer|long|short|byte|boolean|date|timestamp(_ntz)?|decimal\(\d+,\d+\)"
)
TOO_DEEP = "the expression is nested too deeply; wanted a shorter one"
N_SUGGESTIONS = 3
MAX_DEPTH = 200  # of nested nodes
MAX_SHOWN_CHARS = 100  # of an expression in an error


@dataclass(frozen=True)
class Node:
    """A node of an expression: its class, its name and its children.

    `path` holds the parts of a column's or variable's name, `value` a literal, a cast's type or the
    escape character of LIKE.
    """

    kind: str
    children: tuple["Node", ...]
    path: tuple[str, ...] = ()
    value: str | None = None

    @property
    def name(self) -> str:
        """The name of a function, in lower case."""
        return ".".join(self.path).lower()

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse_expression(spark: SparkSession, sql: str, label: str) -> Node:
    """Parse a SQL expression, and check that it is safe.

    A safe one consists of SYNTAX and FUNCTIONS: it has no subquery, no aggregate, nothing that
    reads other data or calls Java. Raises InputError, which begins with `label`, if it is not.
    """
    try:
        expression = spark._jsparkSession.sessionState().sqlParser().parseExpression(sql)
        nodes = json.loads(expression.toJSON())
    except PySparkException as error:
        reason = next(line for line in str(error).splitlines() if line.strip())
        shown = repr(sql[:MAX_SHOWN_CHARS])
        raise InputError(f"{label}: {reason.split(' SQLSTATE')[0]} in {shown}") from error
    except Py4JError as error:
        raise InputError(f"{label}: {TOO_DEEP}") from error
    _check_depth(nodes, label)
    _read_names(nodes, expression)
    tree = _build_tree(iter(nodes))
    _check_lambdas(Node("", (tree,)), label)
    for node in tree.walk():
        _check_lambdas(node, label)
        _check_node(node, label)
        check_literals(spark, node, label)
    return tree


def _read_names(nodes: list[dict], expression: Any) -> None:
    """Add the parts of names and LIKE's escape character to the nodes.

    Spark's JSON separates the parts by commas and lacks the character. If a name may hold a comma,
    or if there is a LIKE, they are read from the tree itself.
    """
    for node in nodes:
        text = node.get("nameParts", "[]")[1:-1]
        node["path"] = tuple(text.split(", ")) if text else ()
    if not any(len(node["path"]) > 1 or "escapeChar" in node for node in nodes):
        return
    for node, java in zip(nodes, _walk_java(expression), strict=True):
        if len(node["path"]) > 1:
            parts = java.nameParts()
            node["path"] = tuple(parts.apply(n) for n in range(parts.size()))
        if "escapeChar" in node:
            node["value"] = java.escapeChar()


def _walk_java(expression: Any) -> Iterator[Any]:
    """Yield the nodes of Spark's tree in pre-order."""
    yield expression
    children = expression.children()
    for number in range(children.size()):
        yield from _walk_java(children.apply(number))


def _check_depth(nodes: list[dict], label: str) -> None:
    """Raise InputError if nodes, which come in pre-order, are nested too deeply."""
    n_open: list[int] = []  # per level, the children that are still to come
    for node in nodes:
        while n_open and n_open[-1] == 0:
            n_open.pop()
        if n_open:
            n_open[-1] -= 1
        n_open.append(node["num-children"])
        if len(n_open) > MAX_DEPTH:
            raise InputError(f"{label}: {TOO_DEEP}")


def _build_tree(nodes: Iterator[dict]) -> Node:
    """Build a tree from the nodes of Spark's JSON, which come in pre-order."""
    node = next(nodes)
    kind = node["class"].rpartition(".")[2]
    children = tuple(_build_tree(nodes) for _ in range(node["num-children"]))
    value = node.get("dataType" if kind.endswith("Cast") else "value")
    return Node(kind, children, node["path"], value)


def _check_lambdas(node: Node, label: str) -> None:
    """Raise InputError if a child of a node is a lambda that it cannot take."""
    if any(c.kind == "LambdaFunction" for c in node.children) and node.name not in LAMBDAS:
        raise InputError(
            f"{label}: found -> in {node.name or 'an expression'}, wanted it in "
            f"{', '.join(sorted(LAMBDAS))} alone"
        )


def _check_node(node: Node, label: str) -> None:
    if node.kind == "UnresolvedFunction":
        if node.name not in FUNCTIONS:
            hint = did_you_mean(node.name, sorted(FUNCTIONS), N_SUGGESTIONS)
            raise InputError(
                f"{label}: found the function {node.name}, wanted one that docs/sources.md lists"
                f"{hint}"
            )
    elif node.kind not in SYNTAX:
        raise InputError(
            f"{label}: found {_in_words(node.kind)}, wanted columns, literals, operators, CASE and "
            "functions that docs/sources.md lists"
        )
    elif node.kind.endswith("Cast") and not CAST_TYPES.fullmatch(str(node.value)):
        shown = node.value["type"] if isinstance(node.value, dict) else node.value
        raise InputError(
            f"{label}: found a cast to {shown}, wanted one to a number, string, boolean, date "
            "or timestamp"
        )


def _in_words(kind: str) -> str:
    """Split the name of a class into words.

    >>> _in_words("ScalarSubquery")
    'scalar subquery'
    """
    return " ".join(re.findall("[A-Z][a-z]*", kind)).lower()
