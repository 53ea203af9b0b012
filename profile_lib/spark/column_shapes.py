"""Find the columns that expressions refer to, and the types that nested ones must have."""

from dataclasses import dataclass, field

from profile_lib.spark.expression_tree import Node

# Functions whose first argument is an array, and whose result is an element or such an array.
ELEMENT_FUNCTIONS = {"get", "element_at", "try_element_at", "array_max", "array_min"}
ARRAY_FUNCTIONS = {
    "filter", "slice", "array_compact", "array_distinct", "array_except", "array_intersect",
    "array_union",
}  # fmt: skip
ARRAY_READERS = {
    "size", "array_size", "cardinality", "array_join", "array_contains", "array_position",
    "arrays_overlap", "transform", "exists", "forall",
}  # fmt: skip


@dataclass
class Shape:
    """The known part of a column's type: fields, elements, or a text.

    It is a struct with fields, an array with elements, or a text. Fields that are found later are
    added.
    """

    fields: dict[str, "Shape"] = field(default_factory=dict)
    element: "Shape | None" = None

    def at(self, path: tuple[str, ...]) -> "Shape":
        """Return the shape at a path of fields, adding those that are new."""
        shape = self
        for name in path:
            shape = shape.fields.setdefault(name, Shape())
        return shape

    def items(self) -> "Shape":
        """Return the shape of an array's elements."""
        self.element = self.element or Shape()
        return self.element

    def sql_type(self) -> str:
        """Return the type in Spark SQL; texts are strings.

        >>> shape = Shape()
        >>> shape.at(("a",)).items().at(("key",))
        Shape(fields={}, element=None)
        >>> shape.sql_type()
        'struct<`a`: array<struct<`key`: string>>>'
        """
        if self.element is not None:
            return f"array<{self.element.sql_type()}>"
        if not self.fields:
            return "string"
        fields = (f"{quote_name(name)}: {shape.sql_type()}" for name, shape in self.fields.items())
        return f"struct<{', '.join(fields)}>"


def quote_text(value: str) -> str:
    """Return a text as a literal of SQL.

    >>> print(quote_text("it's"))
    'it\\'s'
    """
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quote_name(name: str) -> str:
    """Quote a column's name for Spark SQL.

    >>> quote_name("user.id")
    '`user.id`'
    """
    return f"`{name.replace('`', '``')}`"


def find_shapes(root: Shape, tree: Node, aliases: dict[str, Shape] | None = None) -> Shape | None:
    """Add the columns of an expression to `root`, a struct of all columns.

    `aliases` are names that stand for parts of columns, such as the element of an unfolded array.
    Returns the shape of the column, or of its part, that the expression selects, if it does.
    """
    return _visit(tree, None, root, dict(aliases or {}))


def _visit(node: Node, wanted: Shape | None, root: Shape, names: dict[str, Shape]) -> Shape | None:
    """Visit a node; return the shape that it refers to, if any.

    `names` holds the shapes of lambda variables and aliases.
    """
    if node.kind in ("UnresolvedAttribute", "UnresolvedNamedLambdaVariable"):
        first, *rest = node.path
        return names[first].at(tuple(rest)) if first in names else root.at(node.path)
    if node.kind == "UnresolvedExtractValue":
        return _visit_extraction(node, root, names)
    if node.kind == "UnresolvedFunction" and node.children:
        return _visit_function(node, root, names)
    for child in node.children:
        _visit(child, None, root, names)
    return None


def _visit_extraction(node: Node, root: Shape, names: dict[str, Shape]) -> Shape | None:
    base, key = node.children
    shape = _visit(base, None, root, names)
    _visit(key, None, root, names)
    if shape is None:
        return None
    is_field = key.kind == "Literal" and not (key.value or "").lstrip("-").isdigit()
    return shape.at((str(key.value),)) if is_field else shape.items()


def _visit_function(node: Node, root: Shape, names: dict[str, Shape]) -> Shape | None:
    first, *rest = node.children
    shape = _visit(first, None, root, names)
    is_array = node.name in ELEMENT_FUNCTIONS | ARRAY_FUNCTIONS | ARRAY_READERS
    if shape is not None and is_array:
        shape.items()
    for child in rest:
        if child.kind == "LambdaFunction":
            body, *variables = child.children
            inner = names | {variable.path[0]: Shape() for variable in variables}
            if shape is not None:  # the first variable is an element, a second one its number
                inner[variables[0].path[0]] = shape.items()
            _visit(body, None, root, inner)
        else:
            _visit(child, None, root, names)
    if shape is not None and node.name in ELEMENT_FUNCTIONS:
        return shape.items()
    return shape if node.name in ARRAY_FUNCTIONS else None
