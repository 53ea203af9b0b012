"""Read the rows of an input in the source's own columns."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError, did_you_mean
from profile_lib.events.files.inspection import inspect_files, list_files
from profile_lib.events.files.names import match_name
from profile_lib.events.formats.json_lines import MAX_KEYS
from profile_lib.events.formats.registry import FORMATS, RAW_COLUMNS, column_types
from profile_lib.events.input_plan import InputPlan, Path, list_paths
from profile_lib.events.mapping import REQUIRED_COLUMNS
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.spark.column_shapes import quote_name

INDEX = "__events_index"  # number of the element of an unfolded array
MAX_LAYOUTS = 1_000  # different headers that are checked
N_REPORTED = 3
MAX_NAMES, MAX_NAME_CHARS = 50, 60  # of a header, in an error
OTHER_DELIMITERS = ";\t|,"


def read_input(spark: SparkSession, plan: InputPlan, path: str) -> DataFrame:
    """Read all rows of an input.

    Returns the columns of the plan's shape and RAW_COLUMNS of the rows that meet `where`. Raises
    InputError if there is no file, or if one cannot be read or lacks the columns that the plan
    needs.
    """
    with explain_read_errors(plan.label, path):
        files = find_files(spark, plan, path)
        check_files(plan, files)
        rows = read_rows(spark, plan, files)
        return rows if plan.spec.where is None else rows.where(plan.spec.where)


def find_files(spark: SparkSession, plan: InputPlan, path: str) -> DataFrame:
    """Return the inspected files of an input, or the latest version of a table."""
    if FORMATS.get(plan.spec.format).is_table:
        return table_version(spark, path)
    files = inspect_files(list_files(spark, path), plan.spec)
    return files.localCheckpoint()


def table_version(spark: SparkSession, path: str) -> DataFrame:
    """Return the latest version of a Delta table as if it was an inspected file."""
    history = spark.sql(f"DESCRIBE HISTORY delta.{quote_name(path)} LIMIT 1")
    names = spark.read.format("delta").load(path).columns
    return history.select(
        F.lit(path).alias("path"),
        F.col("timestamp").alias("modified_ts"),
        F.lit(0).cast("long").alias("n_bytes"),
        F.concat(F.lit(f"{path}@"), "version").alias("content_hash"),
        F.array(*map(F.lit, names)).alias("names"),
        F.col("version").cast("string").alias("layout"),
        F.lit(None).cast("string").alias("problem"),
    )


def read_rows(spark: SparkSession, plan: InputPlan, files: DataFrame) -> DataFrame:
    """Read the rows of inspected files; a column that they lack is null.

    An unfolded array makes a row per element, whose number is in the column INDEX.
    """
    frame = FORMATS.get(plan.spec.format)().read(spark, files, plan.spec, plan.shape)
    return conform_rows(frame, plan)


def conform_rows(frame: DataFrame, plan: InputPlan) -> DataFrame:
    """Return the columns of the plan's shape and RAW_COLUMNS, with arrays unfolded."""
    columns = [
        _typed_column(frame, name, sql_type).alias(name)
        for name, sql_type in column_types(plan.shape, plan.spec).items()
    ]
    frame = frame.select(*columns, *RAW_COLUMNS)
    if (unfold := plan.spec.unfold) is None:
        return frame.withColumn(INDEX, F.lit(None).cast("int"))
    elements = F.posexplode_outer(F.expr(unfold.column))
    return frame.select("*", elements.alias(INDEX, unfold.alias))


def _typed_column(frame: DataFrame, name: str, sql_type: str) -> Column:
    index = match_name(name, frame.columns)
    if index is None:
        return F.lit(None).cast(sql_type)
    column = F.col(quote_name(frame.columns[index]))
    is_text = isinstance(frame.schema[index].dataType, T.StringType)
    return F.from_json(column, sql_type) if is_text and sql_type != "string" else column


class _Layout(NamedTuple):
    """The columns of some files, and the path of one of them."""

    names: list[str]
    path: str


def check_files(plan: InputPlan, files: DataFrame) -> list[str]:
    """Check what inspection found; return sentences about what is unusual.

    Raises InputError if a file cannot be read, if one has none of the columns that a required
    column needs, or if a column that the plan needs is in no file. For JSON, all files together
    need the required columns alone, and the keys whose absence would leave all rows out.
    """
    problems = files.where("problem IS NOT NULL").select("problem").limit(N_REPORTED).collect()
    if problems:
        raise InputError(f"{plan.label}: " + "; ".join(problem for (problem,) in problems))
    grouped = files.where(F.size("names") > 0).groupBy("names").agg(F.min("path").alias("path"))
    layouts = [_Layout(*row) for row in grouped.orderBy("path").limit(MAX_LAYOUTS).collect()]
    if layouts and plan.spec.format == "jsonl":  # a key may be absent from any object and file
        keys = sorted({name for layout in layouts for name in layout.names})
        layouts = [_Layout(keys, layouts[0].path)]
    for layout in layouts:
        _check_required(plan, layout)
    if not layouts:
        return []
    is_json = plan.spec.format == "jsonl"
    return list(_find_missing_keys(plan, *layouts) if is_json else _find_missing(plan, layouts))


def _check_required(plan: InputPlan, layout: _Layout) -> None:
    for column in REQUIRED_COLUMNS:
        key = f"{plan.label}.{column}"
        needed = plan.reads.get(key, frozenset())
        if needed and not any(match_name(n, layout.names) is not None for n in needed):
            raise InputError(
                f"{key}: {layout.path} has no column {' or '.join(sorted(needed))}; "
                f"{_describe_header(plan, layout)}"
            )


def _describe_header(plan: InputPlan, layout: _Layout) -> str:
    """Describe a header, without its names if it may be data."""
    if len(layout.names) == 1 and plan.spec.format == "csv":
        found = next((d for d in OTHER_DELIMITERS if d in layout.names[0]), None)
        if found is not None:
            return (
                f"its header has no {plan.spec.csv.delimiter!r} but {found!r}: set "
                f"inputs.{plan.name}.csv.delimiter: {found!r}"
            )
    is_known = any(match_name(name, layout.names) is not None for name in plan.shape.fields)
    if plan.spec.format == "csv" and plan.spec.csv.header and not is_known:
        return (
            "none of the mapping's columns is in its header, so its first line may be a row of "
            f"data: give the names in inputs.{plan.name}.csv with header: false, or add the header"
        )
    return f"it has: {_list_names(layout.names)}"


def _list_names(names: Sequence[str]) -> str:
    """List the first names of a header, each cut to a readable length."""
    shown = [name[:MAX_NAME_CHARS] for name in names[:MAX_NAMES]]
    return ", ".join([*shown, "…"] if len(names) > MAX_NAMES else shown)


def _find_missing(plan: InputPlan, layouts: list[_Layout]) -> Iterator[str]:
    """Yield a sentence per file that lacks a column; raise InputError if all files do."""
    existing = sorted({name for layout in layouts for name in layout.names})
    for name in plan.shape.fields:
        without = [layout for layout in layouts if match_name(name, layout.names) is None]
        if len(without) == len(layouts):
            key = next((key for key, names in plan.reads.items() if name in names), plan.label)
            raise InputError(
                f"{key}: no column {name}; {without[0].path} has: {_list_names(existing)}"
                f"{did_you_mean(name, existing)}"
            )
        for layout in without:
            yield f"{plan.label}: {layout.path} has no column {name}, which is null there"


def _find_missing_keys(plan: InputPlan, found: _Layout) -> Iterator[str]:
    """Yield a sentence per missing key of JSON; raise InputError if `where` needs it.

    A key is missing if the mapping reads it, at any depth, and no file has it.
    """
    missing = _missing_paths(plan, found.names)
    where_key = f"{plan.key}.where"
    where = plan.trees.get(where_key)
    needed = set[Path]()
    if where is not None and len(found.names) < MAX_KEYS:  # with more, not all names are known
        needed = plan.find_unhandled(where, set(missing))
    for path in missing:
        name, names = ".".join(path), _list_names(found.names)
        if path in needed:
            raise InputError(
                f"{where_key}: no column {name}, so that it would be null in all rows; "
                f"{found.path} has: {names}; correct the name, or give rows without it a value, "
                f"as coalesce({name}, '') does{did_you_mean(path[-1], found.names)}"
            )
        keys = (key for key, tree in plan.trees.items() if path in plan.find_paths(tree))
        hint = did_you_mean(path[-1], found.names)
        yield f"{next(keys, plan.label)}: no column {name}; {found.path} has: {names}{hint}"


def _missing_paths(plan: InputPlan, names: Sequence[str]) -> list[Path]:
    """Return the paths whose last name is no key of JSON, without those below them.

    The values of `param` are left out: an array of keys and values has few of them in one file.
    """
    params = plan.spec.params
    array = () if params is None else tuple(params.column.split("."))
    missing: list[Path] = []
    for path in list_paths(plan.shape):
        is_value = params is not None and path != array and path[: len(array)] == array
        # Spark reads the keys of an object by their exact names, unlike those of a row.
        exists = path[-1] in names if len(path) > 1 else match_name(path[0], names) is not None
        is_below = any(path[: len(other)] == other for other in missing)
        if not (exists or is_below or is_value):
            missing.append(path)
    return missing
