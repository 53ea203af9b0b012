"""Convert mapped rows to the types of `events`, and list the rules that each breaks."""

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import EVENTS
from profile_lib.tables.events import CONTEXT_COLUMNS, STEPS

HALF_WIDTH = "".join(map(chr, range(0x21, 0x7F))) + " "
FULL_WIDTH = "".join(map(chr, range(0xFF01, 0xFF5F))) + "\u3000"
HTML_ENTITIES = {"&nbsp;": " ", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
UNIT_SEPARATOR = "\x1f"  # of ASCII; no reason contains it
TEXT_COLUMNS = {"query": True, "text": False}  # column → whether it is lower-cased
SHORT_STRING_COLUMNS = ("item_id", "session_hint", "order_id", *CONTEXT_COLUMNS, "step")
MAX_SHORT_STRING_CHARS = 200
VALUE_RANGES = {  # column → the smallest and the largest valid value
    "rating": (1, 5),
    "price": (0, 1e7),
    "quantity": (-1e6, 1e6),
    "dwell_seconds": (0, 86400),
    "position": (1, 1e6),
}
COLUMN_TYPES = {c.name: c.type for c in EVENTS.columns}


def clean_events(
    mapped: DataFrame,
    event_types: Mapping[str, str | None],
    source: str,
    *,
    earliest: datetime,
    latest: datetime,
    max_text_chars: int,
) -> DataFrame:
    """Compute all columns of `events`, and the `reasons` to reject each row.

    `reasons` holds one sentence per broken rule. `mapped` holds `user_id`, already a pseudonym, and
    the mapped columns; a column that it lacks is null. `event_types` maps the source's words to
    event types; rows whose word is mapped to null are left out. An event must lie in
    [earliest, latest). A text is cut after `max_text_chars` characters, and a value that breaks a
    rule becomes null. Columns that `events` does not declare are kept.
    """
    unknown = F.lit(None).cast("string")
    mapped = mapped.withColumns(
        {n: unknown for n in EVENTS.column_names() if n not in mapped.columns}
    )
    if ignored := [word for word, event_type in event_types.items() if event_type is None]:
        mapped = mapped.where(~F.coalesce(F.col("event_type").isin(*ignored), F.lit(False)))
    raw = {n: F.col(n) for n in EVENTS.column_names()}
    typed = {n: F.expr(f"try_cast({n} AS DOUBLE)") for n in VALUE_RANGES}
    typed["event_ts"] = F.expr("try_cast(event_ts AS TIMESTAMP)")
    event_type = _map_event_type(raw["event_type"], event_types)
    values = _clean_values(raw, typed, max_text_chars)
    values |= {"event_type": event_type, "source": F.lit(source)}
    reasons = _join_reasons(_find_broken_rules(raw, typed, event_type, earliest, latest))
    columns = [values[n].alias(n) for n in EVENTS.column_names()]
    undeclared = [c for c in mapped.columns if c not in COLUMN_TYPES]
    return mapped.select(*columns, *undeclared, reasons.alias("reasons"))


def _clean_values(
    raw: Mapping[str, Column], typed: Mapping[str, Column], max_text_chars: int
) -> dict[str, Column]:
    """Return all columns except event_type and source; invalid values are null."""
    ts = typed["event_ts"]
    values = {
        "event_ts": ts,
        "event_date": F.to_date(ts),
        "ingest_ts": F.coalesce(F.expr("try_cast(ingest_ts AS TIMESTAMP)"), ts),
    }
    for name, is_lower_case in TEXT_COLUMNS.items():
        values[name] = normalise_text(raw[name], max_text_chars, is_lower_case)
    for name, (least, most) in VALUE_RANGES.items():
        in_range = F.when(typed[name].between(least, most), typed[name])
        values[name] = in_range.cast(COLUMN_TYPES[name])
    for name in SHORT_STRING_COLUMNS:
        text = F.trim(F.substring(raw[name].cast("string"), 1, MAX_SHORT_STRING_CHARS))
        values[name] = F.when(text != "", text)
    for name in ("event_id", "user_id"):
        values[name] = raw[name].cast("string")
    return values


def _join_reasons(reasons: list[Column]) -> Column:
    """Return the reasons that are not null as an array."""
    # Joining and splitting drops nulls in generated code; a filter of an array is interpreted.
    joined = F.concat_ws(UNIT_SEPARATOR, *reasons)
    return F.when(joined == "", F.array().cast("array<string>")).otherwise(
        F.split(joined, UNIT_SEPARATOR)
    )


def normalise_text(text: Column, max_chars: int, is_lower_case: bool) -> Column:
    """Strip markup and control characters, and replace full-width forms; '' becomes null.

    The text is cut after `max_chars` characters first, and runs of spaces become one. Most texts
    need no such change, so only those that do are rewritten.

    >>> frame = spark.createDataFrame([("<b>Ｂｌｕｅ</b>&amp;  mug\\t",)], "t string")
    >>> frame.select(normalise_text(F.col("t"), 100, True)).first()[0]
    'blue & mug'
    """
    cut = F.substring(text.cast("string"), 1, max_chars)
    plain = F.regexp_replace(cut, "<[^<>]*>", " ")
    for entity, character in HTML_ENTITIES.items():
        plain = F.regexp_replace(plain, entity, f" {character} " if character == "&" else character)
    plain = F.translate(plain, FULL_WIDTH, HALF_WIDTH)
    plain = F.trim(F.regexp_replace(plain, r"[\p{Cntrl}\s\u00a0\ufeff]+", " "))
    clean = F.when(cut.rlike(r"[^ -~]|[&<]|^ | $|  "), plain).otherwise(cut)
    clean = F.lower(clean) if is_lower_case else clean
    return F.when(clean != "", clean)


def _map_event_type(word: Column, event_types: Mapping[str, str | None]) -> Column:
    pairs = [
        F.lit(x)
        for source_word, event_type in event_types.items()
        if event_type
        for x in (source_word, event_type)
    ]
    return F.element_at(F.create_map(*pairs), word)


def _find_broken_rules(
    raw: Mapping[str, Column],
    typed: Mapping[str, Column],
    event_type: Column,
    earliest: datetime,
    latest: datetime,
) -> list[Column]:
    """Return one column per rule: a sentence if the row breaks the rule, else null."""
    ts, step = typed["event_ts"], raw["step"]
    reasons = [
        F.when(raw["user_id"].isNull(), F.lit("user_id is null")),
        F.when(raw["event_ts"].isNull(), F.lit("event_ts is null")).when(
            ts.isNull(), _reason_with_value("event_ts is not a time", raw["event_ts"])
        ),
        F.when(ts < F.lit(earliest), F.lit("event_ts before the earliest that can be")),
        F.when(raw["event_type"].isNull(), F.lit("event_type is null")).when(
            event_type.isNull(),
            _reason_with_value("event_type without a mapping", raw["event_type"]),
        ),
        F.when(ts >= F.lit(latest), F.lit("event_ts in the future")),
        F.when(~step.isin(*STEPS), _reason_with_value(f"step is none of {', '.join(STEPS)}", step)),
    ]
    for name, (least, most) in VALUE_RANGES.items():
        reason = F.when(
            raw[name].isNotNull() & typed[name].isNull() & (F.trim(raw[name].cast("string")) != ""),
            _reason_with_value(f"{name} is not a number", raw[name]),
        ).when(
            ~typed[name].between(least, most),
            _reason_with_value(f"{name} is outside {least:g} to {most:g}", raw[name]),
        )
        reasons.append(reason)
    return reasons


def _reason_with_value(rule: str, value: Column) -> Column:
    return F.concat(F.lit(f"{rule}: "), F.substring(value.cast("string"), 1, 40))
