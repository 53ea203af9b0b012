"""Plan how an input is read: its checked expressions, and the columns that they need."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.formats.registry import FORMATS
from profile_lib.events.mapping import InputSpec, SourceMapping
from profile_lib.spark.column_shapes import Shape, find_shapes, quote_name
from profile_lib.spark.expression_literals import check_time_argument
from profile_lib.spark.expression_tree import Node, parse_expression

PARAM = re.compile(r"\bparam\(\s*'([^'\\]*)'\s*\)")
# Nodes whose result may be a value although a column in them is null.
NULL_HANDLERS = {
    "IsNull", "IsNotNull", "EqualNullSafe", "CaseWhen", "If", "isnull", "isnotnull", "if", "nvl2",
    "concat_ws",
}  # fmt: skip
FALLBACKS = {"coalesce", "nvl", "ifnull"}  # null only if all children are

Path = tuple[str, ...]  # names of a column and of a part of it


@dataclass(frozen=True)
class InputPlan:
    """The expressions of an input, checked, and the columns of the source that they need."""

    name: str  # of the input
    label: str  # part of the mapping that errors name
    spec: InputSpec
    columns: Mapping[str, str]  # name → SQL expression
    ids: tuple[str, ...] = ()  # SQL expressions that identify an event
    shape: Shape = field(default_factory=Shape)  # a field per column of the source
    # Key of the mapping → the columns of the source that its expression reads.
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trees: Mapping[str, Node] = field(default_factory=dict)  # key → its parsed expression
    key: str = ""  # of the input in the mapping

    def find_paths(self, tree: Node) -> set[Path]:
        """Return the columns that an expression reads, and the parts of them at any depth."""
        shape, aliases = Shape(), dict[str, Shape]()
        unfold = self.spec.unfold
        if unfold is not None and any(node.path[:1] == (unfold.alias,) for node in tree.walk()):
            array = find_shapes(shape, self.trees[f"{self.key}.unfold.column"])
            aliases[unfold.alias] = (array or Shape()).items()
        find_shapes(shape, tree, aliases)
        return set(list_paths(shape))

    def find_unhandled(self, tree: Node, missing: Set[Path]) -> set[Path]:
        """Return the missing paths whose null an expression does not replace by a value."""
        handled = {
            path
            for node in tree.walk()
            if {node.kind, node.name} & NULL_HANDLERS
            for path in self.find_paths(node)
        }
        return self._find_nulls(tree, missing) - handled

    def _find_nulls(self, tree: Node, missing: Set[Path]) -> set[Path]:
        """Return the missing paths that make an expression, or a part of it, null."""
        if {tree.kind, tree.name} & NULL_HANDLERS:
            return set()
        nulls = [self._find_nulls(child, missing) for child in tree.children]
        if tree.name in FALLBACKS:
            return set().union(*nulls) if all(nulls) else set()
        if any({node.kind, node.name} & (NULL_HANDLERS | FALLBACKS) for node in tree.walk()):
            return set().union(*nulls)
        return self.find_paths(tree) & missing


def plan_events(spark: SparkSession, mapping: SourceMapping, name: str) -> InputPlan:
    """Plan an input of events.

    Raises InputError if an expression is not safe, if `times.format` is no pattern, if one of
    `column_types` is no SQL type, or if rows of a table are distinct by their place alone.
    """
    if mapping.times.format is not None:
        label = f"{mapping.name}.times.format"
        check_time_argument(spark, "try_to_timestamp", mapping.times.format, label)
    is_table = FORMATS.get(mapping.inputs[name].format).is_table
    if is_table and mapping.rows_are_distinct and not mapping.id_columns:
        raise InputError(
            f"{mapping.name}.rows_are_distinct: found true for the table {name}, whose rows have "
            "no lasting place; wanted id_columns, which identify an event"
        )
    _check_types(spark, mapping)
    lookups = list(mapping.lookups_of(name).values())
    looked_up = {new for lookup in lookups for new in lookup.column_pairs}
    plan = _plan(
        spark,
        mapping,
        name,
        mapping.event_columns[name],
        f"{mapping.name}.columns",
        ids=mapping.id_columns,
        other_columns=looked_up,
    )
    for lookup in lookups:
        for key in lookup.key_pairs:
            if key not in looked_up:
                plan.shape.at((key,))
    return plan


def plan_input(
    spark: SparkSession, mapping: SourceMapping, name: str, columns: Mapping[str, str], label: str
) -> InputPlan:
    """Plan an input of items, users or a lookup."""
    return _plan(spark, mapping, name, columns, f"{mapping.name}.{label}")


def plan_lookups(spark: SparkSession, mapping: SourceMapping) -> list[InputPlan]:
    """Plan each input of lookups; its columns keep their names."""
    columns: dict[str, dict[str, str]] = {}
    for lookup in mapping.lookups:
        names = [*lookup.key_pairs.values(), *lookup.column_pairs.values()]
        quoted = {name: quote_name(name) for name in names}
        columns[lookup.input] = columns.get(lookup.input, {}) | quoted
    return [
        plan_input(spark, mapping, name, dict(sorted(quoted.items())), f"lookups.{name}")
        for name, quoted in columns.items()
    ]


def _plan(
    spark: SparkSession,
    mapping: SourceMapping,
    name: str,
    columns: Mapping[str, str],
    label: str,
    ids: Iterable[str] = (),
    other_columns: Iterable[str] = (),
) -> InputPlan:
    spec = _expand_spec(mapping.inputs[name], label)
    plan = InputPlan(
        name=name,
        label=label,
        spec=spec,
        columns={n: _expand(spec, sql, f"{label}.{n}") for n, sql in columns.items()},
        ids=tuple(_expand(spec, sql, "id_columns") for sql in ids),
        key=f"{mapping.name}.inputs.{name}",
    )
    labelled = {f"{label}.{n}": sql for n, sql in plan.columns.items()}
    labelled |= {f"{mapping.name}.id_columns[{n}]": sql for n, sql in enumerate(plan.ids)}
    if spec.where is not None:
        labelled[f"{plan.key}.where"] = spec.where
    unfold_key = f"{plan.key}.unfold.column"
    if spec.unfold is not None:
        labelled[unfold_key] = spec.unfold.column
    trees = {key: parse_expression(spark, sql, key) for key, sql in labelled.items()}
    aliases = {}
    if spec.unfold is not None:
        array = find_shapes(plan.shape, trees[unfold_key]) or Shape()
        aliases[spec.unfold.alias] = array.items()
    for key, tree in trees.items():
        if key != unfold_key:
            find_shapes(plan.shape, tree, aliases)
    for column in other_columns:
        plan.shape.fields.pop(column, None)
    reads = {key: _column_names(tree, plan.shape) for key, tree in trees.items()}
    return replace(plan, reads=reads, trees=trees)


def _expand_spec(spec: InputSpec, label: str) -> InputSpec:
    """Replace `param('key')` in the expressions of an input."""
    changes: dict[str, object] = {}
    if spec.where is not None:
        changes["where"] = _expand(spec, spec.where, f"{label}.where")
    if spec.unfold is not None:
        column = _expand(spec, spec.unfold.column, f"{label}.unfold.column")
        changes["unfold"] = spec.unfold.model_copy(update={"column": column})
    return spec.model_copy(update=changes)


def _check_types(spark: SparkSession, mapping: SourceMapping) -> None:
    """Raise InputError if a type that an input declares is no type of SQL."""
    parser = spark._jsparkSession.sessionState().sqlParser()
    types = {
        f"{mapping.name}.inputs.{name}.column_types.{column}": sql_type
        for name, spec in mapping.inputs.items()
        for column, sql_type in spec.column_types.items()
    }
    for key, sql_type in types.items():
        try:
            parser.parseDataType(sql_type)
            # A type of SQL may be one that no column has.
            spark.range(0).select(F.from_json(F.lit("[]"), f"array<struct<x: {sql_type}>>"))
        except (PySparkException, Py4JError) as error:
            raise InputError(
                f"{key}: found {sql_type!r}, wanted a type of Spark SQL, such as string, double "
                "or array<struct<id: string>>"
            ) from error


def list_paths(shape: Shape, above: Path = ()) -> Iterator[Path]:
    """Yield the paths of all fields of a shape; elements of arrays have no name.

    >>> shape = Shape()
    >>> shape.at(("basket", "items")).items().at(("id",))
    Shape(fields={}, element=None)
    >>> list(list_paths(shape))
    [('basket',), ('basket', 'items'), ('basket', 'items', 'id')]
    """
    while shape.element is not None:
        shape = shape.element
    for name, part in shape.fields.items():
        yield (*above, name)
        yield from list_paths(part, (*above, name))


def _column_names(tree: Node, shape: Shape) -> frozenset[str]:
    """Return the columns of the source that an expression reads."""
    nodes = (node for node in tree.walk() if node.kind == "UnresolvedAttribute")
    return frozenset(node.path[0] for node in nodes if node.path[0] in shape.fields)


def _expand(spec: InputSpec, sql: str, label: str) -> str:
    """Replace `param('key')` by the value of that key in the keyed array."""
    if PARAM.search(sql) is None:
        return sql
    if spec.params is None:
        raise InputError(
            f"{label}: found param(…), but the input has no params; wanted params: {{column: the "
            "array of keys and values} in the mapping"
        )
    array = spec.params
    key = ".".join(map(quote_name, ["p", *array.key.split(".")]))

    def value_of(match: re.Match[str]) -> str:
        column = ".".join(map(quote_name, array.column.split(".")))
        element = f"get(filter({column}, p -> {key} = '{match[1]}'), 0)"
        return f"coalesce({', '.join(f'{element}.{value}' for value in array.values)})"

    return PARAM.sub(value_of, sql)
