"""Map the columns of a source to the columns of `events`, and join its lookups."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.formats.registry import RAW_COLUMNS
from profile_lib.events.identity import SEPARATOR
from profile_lib.events.input_plan import InputPlan
from profile_lib.events.mapping import Lookup, SourceMapping
from profile_lib.events.raw_ids import is_placeholder, to_text, trim_text
from profile_lib.events.readers import INDEX
from profile_lib.spark.column_shapes import quote_name

IS_WANTED = "__events_is_wanted"  # whether the row meets `where`
ID = "__events_id"  # id of the event in the source; null: it has none
LOOKUP_MATCHES = "__events_lookup_{}"  # by its number: rows of the lookup that match; null: none
KEY = "__events_key_{}"
BEST, MATCH = "__events_best", "__events_match"
ADDED_COLUMNS = (*RAW_COLUMNS, INDEX, IS_WANTED, ID)


def map_rows(
    rows: DataFrame,
    plan: InputPlan,
    mapping: SourceMapping,
    lookups: Mapping[str, DataFrame],
    placeholder_ids: Sequence[str] = (),
) -> DataFrame:
    """Join the lookups to the rows of an input, and compute the mapped columns.

    Returns the columns of the plan, ADDED_COLUMNS, and per lookup the number of matches. `lookups`
    holds the rows of each lookup by the name of its input. Raises InputError if an expression does
    not fit the types of the columns.
    """
    joined = mapping.lookups_of(plan.name)
    for number, lookup in joined.items():
        rows = _join_lookup(rows, lookup, lookups[lookup.input], LOOKUP_MATCHES.format(number))
    where = plan.spec.where
    added = {
        IS_WANTED: F.lit(True) if where is None else F.expr(where),
        ID: _event_id(plan, placeholder_ids),
    }
    counts = [LOOKUP_MATCHES.format(number) for number in joined]
    kept = [*RAW_COLUMNS, INDEX, *counts]
    return compute_columns(rows, plan, added, kept)


def compute_columns(
    rows: DataFrame, plan: InputPlan, added: Mapping[str, Column], kept: list[str]
) -> DataFrame:
    """Compute the columns of a plan and `added` ones; `kept` ones stay.

    Raises InputError that names the expression which does not fit the types of the columns.
    """
    columns = {name: F.expr(sql) for name, sql in plan.columns.items()}
    try:
        return rows.select(*[c.alias(n) for n, c in {**columns, **added}.items()], *kept)
    except AnalysisException:
        for name, column in {**columns, **added}.items():
            try:
                rows.select(column)
            except AnalysisException as error:
                reason = str(error).splitlines()[0].split(" SQLSTATE")[0]
                raise InputError(f"{plan.label}.{name}: {reason}") from error
        raise


def _event_id(plan: InputPlan, placeholder_ids: Sequence[str]) -> Column:
    """Return the source's id of the event; null if it has none.

    Parts that are all empty or placeholders are no id.
    """
    if not plan.ids:
        return F.lit(None).cast("string")
    parts = [F.coalesce(trim_text(F.expr(sql).cast("string")), F.lit("")) for sql in plan.ids]
    says_nothing = [(part == "") | is_placeholder(part, placeholder_ids) for part in parts]
    return F.when(~reduce(and_, says_nothing), F.concat_ws(SEPARATOR, *parts))


def _join_lookup(rows: DataFrame, lookup: Lookup, found: DataFrame, count: str) -> DataFrame:
    """Join the columns of a lookup, and the number of matches as `count`.

    With `match: one`, an event gets those of the first of its matches, by their values.
    """
    keys = {KEY.format(n): name for n, name in enumerate(lookup.key_pairs.values())}
    values = lookup.column_pairs
    selected = found.select(
        *[_as_key(found, name).alias(key) for key, name in keys.items()],
        *[F.col(quote_name(name)).alias(new) for new, name in values.items()],
    )
    if lookup.match == "one":
        best = F.min(F.struct(*map(quote_name, values))).alias(BEST)
        grouped = selected.groupBy(*keys).agg(best, F.count("*").alias(count))
        fields = [F.col(f"{BEST}.{quote_name(new)}").alias(new) for new in values]
        selected = grouped.select(*keys, *fields, count)
    else:
        n_matches = F.count("*").over(Window.partitionBy(*keys))
        number = F.row_number().over(Window.partitionBy(*keys).orderBy(*map(quote_name, values)))
        selected = selected.withColumns({count: n_matches, MATCH: number})
    replaced = rows.drop(*values)
    for key, name in zip(keys, lookup.key_pairs, strict=True):
        replaced = replaced.withColumn(key, _as_key(replaced, name))
    joined = replaced.join(selected, list(keys), "left").drop(*keys)
    if lookup.match == "one":
        return joined
    index = F.coalesce(F.col(INDEX) * 1_000_000 + F.col(MATCH), MATCH, INDEX)
    return joined.withColumn(INDEX, index.cast("long")).drop(MATCH)


def _as_key(rows: DataFrame, name: str) -> Column:
    return trim_text(to_text(F.col(quote_name(name)), rows.schema[name].dataType))
