"""Mapped rows in, typed and normalised rows with the reasons against each out."""

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import EVENTS
from profile_lib.tables.events import CONTEXT_COLUMNS, STEPS

HALF_WIDTH = "".join(map(chr, range(0x21, 0x7F))) + " "
FULL_WIDTH = "".join(map(chr, range(0xFF01, 0xFF5F))) + "\u3000"
HTML_ENTITIES = {"&nbsp;": " ", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
UNIT_SEPARATOR = "\x1f"  # ASCII's unit separator
TEXT_COLUMNS = {"query": True, "text": False}  # normalised text; True: in lower case
VALUE_RANGES = {  # column → least and most that can be true
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
    """All columns of `events`, and `reasons`: one sentence for each rule that the row breaks.

    `mapped` holds `user_id` (already a pseudonym) and whatever the mapping gives; what it does
    not give is null. Rows whose kind is mapped to null are left out. A text is cut after
    `max_text_chars` characters. What breaks a rule stays null in its column.
    """
    unknown = F.lit(None).cast("string")
    mapped = mapped.withColumns(
        {n: unknown for n in EVENTS.column_names() if n not in mapped.columns}
    )
    raw = {n: F.col(n) for n in EVENTS.column_names()}
    if dropped := [word for word, kind in event_types.items() if kind is None]:
        mapped = mapped.where(~F.coalesce(raw["event_type"].isin(*dropped), F.lit(False)))
    typed = {n: F.expr(f"try_cast({n} AS DOUBLE)") for n in VALUE_RANGES}
    typed["event_ts"] = F.expr("try_cast(event_ts AS TIMESTAMP)")
    ts = typed["event_ts"]
    values = {
        "event_ts": ts,
        "event_date": F.to_date(ts),
        "event_type": _map_event_type(raw["event_type"], event_types),
        "ingest_ts": F.coalesce(F.expr("try_cast(ingest_ts AS TIMESTAMP)"), ts),
        "source": F.lit(source),
    }
    for name, lower in TEXT_COLUMNS.items():
        values[name] = normalise_text(raw[name], max_text_chars, lower)
    for name, (least, most) in VALUE_RANGES.items():
        values[name] = F.when(typed[name].between(least, most), typed[name]).cast(
            COLUMN_TYPES[name]
        )
    for name in ("item_id", "session_hint", "order_id", *CONTEXT_COLUMNS, "step"):
        text = F.trim(F.substring(raw[name].cast("string"), 1, 200))
        values[name] = F.when(text != "", text)
    for name in ("event_id", "user_id"):
        values[name] = raw[name].cast("string")
    reasons = _broken_rules(raw, typed, values["event_type"], earliest, latest)
    # Joined and split: to filter nulls out of an array is interpreted code, row by row.
    told = F.concat_ws(UNIT_SEPARATOR, *reasons)
    held = F.when(told == "", F.array().cast("array<string>")).otherwise(
        F.split(told, UNIT_SEPARATOR)
    )
    others = [c for c in mapped.columns if c not in COLUMN_TYPES]
    columns = [values[n].alias(n) for n in EVENTS.column_names()]
    return mapped.select(*columns, *others, held.alias("reasons"))


def normalise_text(text: Column, max_chars: int, lower: bool) -> Column:
    """Text without markup, full-width forms, control characters and double spaces; '' is null.

    Only what holds such a character is worked on: most texts are plain already.

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
    clean = F.lower(clean) if lower else clean
    return F.when(clean != "", clean)


def _map_event_type(word: Column, event_types: Mapping[str, str | None]) -> Column:
    pairs = [F.lit(x) for word, kind in event_types.items() if kind for x in (word, kind)]
    return F.element_at(F.create_map(*pairs), word)


def _broken_rules(
    raw: Mapping[str, Column],
    typed: Mapping[str, Column],
    kind: Column,
    earliest: datetime,
    latest: datetime,
) -> list[Column]:
    ts, step = typed["event_ts"], raw["step"]
    reasons = [
        F.when(raw["user_id"].isNull(), F.lit("user_id is null")),
        F.when(raw["event_ts"].isNull(), F.lit("event_ts is null")).when(
            ts.isNull(), _reason_with_value("event_ts is not a time", raw["event_ts"])
        ),
        F.when(ts < F.lit(earliest), F.lit("event_ts before the earliest that can be")),
        F.when(raw["event_type"].isNull(), F.lit("event_type is null")).when(
            kind.isNull(), _reason_with_value("event_type without a mapping", raw["event_type"])
        ),
        F.when(ts >= F.lit(latest), F.lit("event_ts in the future")),
        F.when(~step.isin(*STEPS), _reason_with_value(f"step is none of {', '.join(STEPS)}", step)),
    ]
    for name, (least, most) in VALUE_RANGES.items():
        told = F.when(
            raw[name].isNotNull() & typed[name].isNull() & (F.trim(raw[name].cast("string")) != ""),
            _reason_with_value(f"{name} is not a number", raw[name]),
        ).when(
            ~typed[name].between(least, most),
            _reason_with_value(f"{name} is outside {least:g} to {most:g}", raw[name]),
        )
        reasons.append(told)
    return reasons


def _reason_with_value(rule: str, value: Column) -> Column:
    return F.concat(F.lit(f"{rule}: "), F.substring(value.cast("string"), 1, 40))
