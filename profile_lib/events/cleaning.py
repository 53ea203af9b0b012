"""Convert mapped rows to the types of `events`, and name broken rules."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.events.column_mapping import IS_WANTED, LOOKUP_MATCHES
from profile_lib.events.formats.registry import ARRIVAL, POSITION, PROBLEM
from profile_lib.events.free_texts import TEXT_COLUMNS, clean_free_texts
from profile_lib.events.mapping import ITEM_TEXTS, MAPPED_COLUMNS, SourceMapping
from profile_lib.events.raw_ids import is_placeholder, to_text, trim_text
from profile_lib.events.values import to_number, to_time
from profile_lib.spark.time_zones import known_time_zones
from profile_lib.tables import EVENTS
from profile_lib.tables.events import CONTEXT_COLUMNS, STEPS
from profile_lib.tables.people import CARRIERS

UNSTORED_COLUMNS = ("user_agent", "currency")  # of mapped columns; later steps need them
UNIT_SEPARATOR = "\x1f"  # of ASCII; no rule contains it
ID_COLUMNS = ("item_id", "session_hint", "order_id", *CARRIERS.values())
MAX_ID_CHARS = 2_000
MAX_SHAPE_CHARS = 40
MAX_EXAMPLE_CHARS = MAX_SHAPE_CHARS + 1  # with one more, a word is not shown; see quality.py
EXAMPLE_SIGN = "="  # between a rule and an example
MAX_CONTEXT_CHARS = 200
QUERY_OF_ADDRESS = r"(?s)[?#].*"  # may hold ids, mails and tokens
EMAIL = r"\S@\S+\.\S"
VALUE_RANGES = {  # column → the smallest and the largest valid value
    "rating": (1.0, 5.0),
    "price": (0.0, 1e15),  # before it is converted; see currencies.py
    "quantity": (0.0, 1e6),
    "dwell_seconds": (0.0, 86_400.0),
    "position": (1.0, 1e6),
}
NUMBER_COLUMNS = (*VALUE_RANGES, "sequence")
TIME_COLUMNS = ("event_ts", "ingest_ts")
UNPARSED = "_unparsed_"
RENAMED = {
    "session_hint": "raw_session", "order_id": "raw_order", "device_id": "raw_device",
    "anonymous_id": "raw_anonymous",
}  # fmt: skip

UNREADABLE = "\ufffd"  # stands for bytes that are invalid in the declared encoding
COLUMN_TYPES = {c.name: c.type for c in EVENTS.columns}
KEPT, REJECTED, LEFT_OUT = "kept", "rejected", "left_out"


class Limits(NamedTuple):
    """Limits of valid events."""

    earliest: datetime  # events before it are rejected
    latest: datetime  # events at it or later are rejected
    max_text_chars: int  # a text is cut after as many
    placeholder_ids: Sequence[str]  # ids that mean nobody, in lower case


class _Value(NamedTuple):
    """A typed value, and the rule that the mapped one breaks; null: none."""

    value: Column
    rule: Column


def clean_rows(mapped: DataFrame, mapping: SourceMapping, limits: Limits) -> DataFrame:
    """Compute the columns of `events` that need no key, and judge each row.

    Returns those columns, ITEM_TEXTS, UNSTORED_COLUMNS as the source has them, and `raw_id` (the
    login), `raw_session`, `raw_order`, `raw_device` and `raw_anonymous`. A row without a valid
    login is rejected unless it has one of the last two. `status` is KEPT, REJECTED or LEFT_OUT;
    `reasons` holds the rules for which a row is rejected, and `issues` those for which a field
    became null, each as `column:rule`. A column that is not mapped is null.
    """
    typed = _type_columns(mapped, mapping)
    is_readable = F.col(PROBLEM).isNull()
    user = clean_id("user_id", limits.placeholder_ids)
    fields = _clean_fields(mapped.sparkSession, typed.columns, limits)
    has_carrier = F.coalesce(*(fields[name].value for name in CARRIERS.values())).isNotNull()
    user_issue = F.when(has_carrier & (user.rule != "user_id:missing"), user.rule)
    issues = [user_issue, *(f.rule for f in fields.values())]
    reasons = [F.when(~has_carrier, user.rule), _time_rule(limits), _event_type_rule(mapping)]
    left_out = [word for word, event_type in mapping.event_types.items() if event_type is None]
    is_left_out = ~F.coalesce(IS_WANTED, F.lit(False)) | F.col("event_type").isin(*left_out)
    judged = typed.select(
        user.value.alias("raw_id"),
        "event_ts",
        F.to_date("event_ts").alias("event_date"),
        _map_event_type(mapping).alias("event_type"),
        *[field.value.alias(RENAMED.get(name, name)) for name, field in fields.items()],
        *[_text_or_null(typed, name) for name in UNSTORED_COLUMNS],
        F.lit(mapping.name).alias("source"),
        *[c for c in typed.columns if c.startswith("_") and not c.startswith(UNPARSED)],
        (is_readable & F.coalesce(is_left_out, F.lit(False))).alias("is_left_out"),
        _join_rules([F.col(PROBLEM), *(F.when(is_readable, rule) for rule in reasons)], "reasons"),
        _join_rules([*issues, *_lookup_rules(typed, mapping)], "issues"),
    )
    is_rejected = F.size("reasons") > 0
    status = F.when(F.col("is_left_out"), LEFT_OUT).when(is_rejected, REJECTED).otherwise(KEPT)
    judged = judged.withColumn("status", status).drop("is_left_out", PROBLEM)
    has_texts = any(name in typed.columns for name in TEXT_COLUMNS)
    return clean_free_texts(judged, limits.max_text_chars) if has_texts else judged


def _type_columns(mapped: DataFrame, mapping: SourceMapping) -> DataFrame:
    """Convert each mapped column to a time, a number or a trimmed text.

    Texts that numbers and times are read from stay in columns that begin with UNPARSED. A step of
    its own, so that Spark computes each value once, however many rules read it.
    """
    columns = dict(zip(mapped.columns, mapped.columns, strict=True))
    typed: dict[str, Column] = {name: F.col(name) for name in columns}
    for name in columns:
        data_type = mapped.schema[name].dataType
        if name in TIME_COLUMNS:
            typed[name] = to_time(F.col(name), data_type, mapping.times)
        elif name in NUMBER_COLUMNS:
            typed[name] = to_number(F.col(name), data_type, mapping.decimal_sign)
            if name == "sequence":  # a double would not hold all digits
                whole = trim_text(F.col(name).cast("string")).cast("long")
                typed[name] = F.coalesce(whole, typed[name].cast("long"))
        elif name in MAPPED_COLUMNS:
            typed[name] = to_text(F.col(name), data_type)
            if name not in TEXT_COLUMNS:
                typed[name] = trim_text(typed[name])
        if name in (*TIME_COLUMNS, *NUMBER_COLUMNS):
            text = trim_text(F.col(name).cast("string"))
            typed[f"{UNPARSED}{name}"] = F.when(text != "", text)
    return mapped.select(*[column.alias(name) for name, column in typed.items()])


def _text_or_null(typed: DataFrame, name: str) -> Column:
    return (F.col(name) if name in typed.columns else F.lit(None).cast("string")).alias(name)


def _time_rule(limits: Limits) -> Column:
    time, text = F.col("event_ts"), F.col(f"{UNPARSED}event_ts")
    return (
        F.when(text.isNull(), "event_ts:missing")
        .when(time.isNull(), with_example("event_ts:not_a_time", shape_of(text)))
        .when(time < F.lit(limits.earliest), "event_ts:too_early")
        .when(time >= F.lit(limits.latest), "event_ts:in_the_future")
    )


def _map_event_type(mapping: SourceMapping) -> Column:
    types = {word: t for word, t in mapping.event_types.items() if t is not None}
    pairs = [F.lit(x) for pair in types.items() for x in pair]
    return F.create_map(*pairs)[F.col("event_type")] if pairs else F.lit(None).cast("string")


def _event_type_rule(mapping: SourceMapping) -> Column:
    word = F.col("event_type")
    is_mapped = word.isin(*mapping.event_types)
    return F.when(word.isNull() | (word == ""), "event_type:missing").when(
        ~is_mapped, with_example("event_type:not_mapped", word)
    )


def _lookup_rules(typed: DataFrame, mapping: SourceMapping) -> list[Column]:
    """Return the rules about the matches of each lookup; they concern no field of events."""
    rules = []
    for number, lookup in enumerate(mapping.lookups):
        column, name = LOOKUP_MATCHES.format(number), f"lookup {lookup.input}"
        if column not in typed.columns:  # this input of events does not use the lookup
            continue
        n_matches = F.col(column)
        rule = F.when(n_matches.isNull(), f"{name}:no_match")
        if lookup.match == "one":
            rule = rule.when(n_matches > 1, f"{name}:several_matches")
        rules.append(rule)
    return rules


def _clean_fields(
    spark: SparkSession, mapped_columns: Sequence[str], limits: Limits
) -> dict[str, _Value]:
    """Return all optional columns; a value that breaks a rule is null."""
    cleaners: dict[str, Callable[[str], _Value]] = {
        **dict.fromkeys(VALUE_RANGES, _clean_number),
        **dict.fromkeys(ID_COLUMNS, lambda name: clean_id(name, limits.placeholder_ids)),
        **dict.fromkeys(CONTEXT_COLUMNS, _clean_short_text),
        **dict.fromkeys((*TEXT_COLUMNS, *ITEM_TEXTS), _clean_text),
        "step": lambda name: _clean_word(name, F.lower(F.col(name)), STEPS),
        "time_zone": lambda name: _clean_word(name, F.col(name), sorted(known_time_zones(spark))),
    }
    fields = {
        name: cleaner(name) if name in mapped_columns else _null_value(name)
        for name, cleaner in cleaners.items()
    }
    sequence = F.col("sequence") if "sequence" in mapped_columns else F.lit(None).cast("long")
    fields["language"] = _null_value("language")
    fields["sequence"] = _Value(F.coalesce(sequence, POSITION), _no_rule())
    fields["ingest_ts"] = _Value(F.col(ARRIVAL), _no_rule())
    if "ingest_ts" in mapped_columns:
        own, text = F.col("ingest_ts"), F.col(f"{UNPARSED}ingest_ts")
        rule = F.when(text.isNotNull() & own.isNull(), "ingest_ts:not_a_time")
        fields["ingest_ts"] = _Value(F.coalesce(own, ARRIVAL), rule)
    return fields


def _no_rule() -> Column:
    return F.lit(None).cast("string")


def _null_value(name: str) -> _Value:
    return _Value(F.lit(None).cast(COLUMN_TYPES.get(name, "string")), _no_rule())


def _clean_number(name: str) -> _Value:
    number, text = F.col(name), F.col(f"{UNPARSED}{name}")
    if name == "quantity":
        number = F.abs(number)  # a sign says what the event type says
    in_range = number.between(*map(F.lit, VALUE_RANGES[name]))
    rule = F.when(
        text.isNotNull() & number.isNull(), with_example(f"{name}:not_a_number", shape_of(text))
    ).when(~in_range, f"{name}:out_of_range")
    return _Value(F.when(in_range, number).cast(COLUMN_TYPES[name]), rule)


def clean_id(name: str, placeholder_ids: Sequence[str]) -> _Value:
    """Return the id in a column of trimmed texts, and the rule that it breaks."""
    text = F.col(name)
    rule = (
        F.when(F.length(text) > MAX_ID_CHARS, f"{name}:too_long")
        .when(is_placeholder(text, placeholder_ids), f"{name}:placeholder")
        .when(F.contains(text, F.lit(UNREADABLE)), f"{name}:not_text")
    )
    if name == "user_id":
        rule = F.when(text.isNull() | (text == ""), f"{name}:missing").otherwise(rule)
    return _Value(F.when(rule.isNull() & (text != ""), text), rule)


def _clean_short_text(name: str) -> _Value:
    text = F.col(name)
    if name == "referrer":
        text = F.regexp_replace(text, QUERY_OF_ADDRESS, "")
    rule = (
        F.when(F.length(text) > MAX_CONTEXT_CHARS, f"{name}:too_long")
        .when(F.contains(text, F.lit(UNREADABLE)), f"{name}:not_text")
        # Nearly all texts have no such sign, for which a search is cheaper than a pattern.
        .when(F.contains(text, F.lit("@")) & text.rlike(EMAIL), f"{name}:personal_data")
    )
    return _Value(F.when(rule.isNull() & (text != ""), text), rule)


def _clean_text(name: str) -> _Value:
    text = F.col(name)
    rule = F.when(F.contains(text, F.lit(UNREADABLE)), f"{name}:not_text")
    return _Value(F.when(rule.isNull(), text), rule)


def _clean_word(name: str, word: Column, words: Sequence[str]) -> _Value:
    is_known = word.isin(*words)
    return _Value(F.when(is_known, word), F.when((word != "") & ~is_known, f"{name}:unknown"))


def shape_of(text: Column) -> Column:
    """Return the shape of a text: a for letters, 9 for digits.

    >>> frame = spark.createDataFrame([("on request: 12,50",)], "t string")
    >>> frame.select(shape_of(F.col("t"))).first()[0]
    'a a: 9,9'
    """
    letters = F.regexp_replace(F.substring(text, 1, MAX_SHAPE_CHARS), r"\p{L}+", "a")
    return F.regexp_replace(letters, r"\p{N}+", "9")


def with_example(rule: str, example: Column) -> Column:
    """Return a rule with an example, which `quality.count_rules` takes apart.

    The example is cut, and holds no UNIT_SEPARATOR, which would make a rule of what follows.
    """
    shown = F.translate(F.substring(example, 1, MAX_EXAMPLE_CHARS), UNIT_SEPARATOR, " ")
    return F.concat(F.lit(f"{rule}{EXAMPLE_SIGN}"), shown)


def _join_rules(rules: Sequence[Column], name: str) -> Column:
    """Return the rules that are not null as an array column."""
    # Joining and splitting drops nulls in generated code; a filter of an array is interpreted.
    joined = F.concat_ws(UNIT_SEPARATOR, *rules)
    none = F.array().cast("array<string>")
    return F.when(joined == "", none).otherwise(F.split(joined, UNIT_SEPARATOR)).alias(name)
