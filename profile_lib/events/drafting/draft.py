"""Draft a mapping, with the evidence for each line and its certainty."""

import re
from collections.abc import Iterator, Mapping

from profile_lib.events.drafting.event_words import guess_event_type
from profile_lib.events.drafting.expressions import is_filled, write_expression
from profile_lib.events.drafting.findings import Findings, count_words, find_roles, guess_constant
from profile_lib.events.drafting.roles import Guess
from profile_lib.events.drafting.samples import Sample
from profile_lib.events.drafting.times import DAY, find_clock
from profile_lib.events.drafting.vocabulary import words_of
from profile_lib.events.drafting.yaml_lines import Line, on_one_line, write_lines
from profile_lib.events.mapping import MAPPED_COLUMNS, REQUIRED_COLUMNS, CsvDialect, KeyedArray

NOTHING = "CAST(NULL AS STRING)"  # expression of a required column that was not found
MAX_WORDS = 50  # event types in the source's words that are listed
PUBLIC_WORD = re.compile(r"[\w .:$/&+()'-]{1,60}")  # form of a word that may be shown
UTC = re.compile(r"\b(utc|gmt|z)\b")
MAX_UNUSED = 60  # columns without a role that are listed
HEADER = """\
# Draft of a mapping of {path}, from {n_rows:,} rows{invalid}.
# The number in a comment is how sure a guess is, from 0 to 1; then follows what it is based on: the
# share of rows with a value, the number of distinct values, and their most frequent shapes (a:
# letters, 9: digits). Check each line, above all those below 0.9, and remove the comments.
# docs/sources.md explains every key.
"""


def draft_mapping(name: str, path: str, sample: Sample) -> str:
    """Draft the mapping of the files at `path`, as YAML with comments.

    No comment shows a value of a column, except the words of event types.
    """
    findings = find_roles(sample)
    names = _column_names(findings)
    lines = [
        Line("name", name),
        Line("inputs", (Line("events", tuple(_input_lines(findings, names))),)),
        Line("columns", tuple(_column_lines(findings, names, path))),
        *_id_lines(findings, names),
        *_time_lines(findings),
        *_number_lines(findings),
        Line("event_types", tuple(_event_type_lines(findings, path)) or {}),
    ]
    invalid = f"; {sample.n_invalid:,} others cannot be read" if sample.n_invalid else ""
    header = HEADER.format(path=on_one_line(path), n_rows=sample.nested.n_rows, invalid=invalid)
    return header + write_lines(lines) + _list_unused(findings)


def _column_names(findings: Findings) -> dict[str, str]:
    """Return names for the columns of a file without a header, by their number."""
    spec = findings.sample.spec
    if spec.format != "csv" or spec.csv.header:
        return {}
    guessed = {guess.summary.path: role for role, guess in findings.guesses.items()}
    return {path: role for path, role in guessed.items() if path in findings.sample.names}


def _input_lines(findings: Findings, names: Mapping[str, str]) -> Iterator[Line]:
    spec, certainties = findings.sample.spec, findings.sample.certainties
    yield Line("format", spec.format)
    if spec.encoding != "utf-8":
        yield Line("encoding", spec.encoding, f"{certainties['encoding']:.2g}: by the characters")
    if spec.format == "csv" and (lines := tuple(_dialect_lines(findings, names))):
        yield Line("csv", lines)
    if findings.needed:
        shares = [
            f"{1 - summary.share_filled:.0%} lack {summary.path}" for summary in findings.needed
        ]
        where = " AND ".join(is_filled(summary, names) for summary in findings.needed)
        yield Line("where", where, f"0.7: rows without these are no events: {', '.join(shares)}")
    if findings.array is not None:
        array = findings.array
        unfold = {"column": array.sql, "alias": array.alias}
        yield Line("unfold", unfold, f"0.8: {array.n_elements:,} elements in {array.n_rows:,} rows")
    if (keyed := findings.sample.nested.keyed) is not None:
        changed = {
            k: v
            for k, v in keyed.model_dump().items()
            if v != KeyedArray(column="").model_dump()[k]
        }
        yield Line("params", changed, "0.9: an array of keys and values")


def _dialect_lines(findings: Findings, names: Mapping[str, str]) -> Iterator[Line]:
    dialect, default = findings.sample.spec.csv, CsvDialect()
    certainties = findings.sample.certainties
    sure = f"{certainties['delimiter']:.2g}"
    if dialect.delimiter != default.delimiter:
        yield Line(
            "delimiter", dialect.delimiter, f"{sure}: as many fields in this share of the rows"
        )
    yield Line("header", dialect.header, f"{certainties['header']:.2g}: by the first line")
    if not dialect.header and findings.sample.names:
        yield Line("names", [names.get(path, path) for path in findings.sample.names])
    if dialect.quote != default.quote:
        yield Line("quote", dialect.quote, f"{sure}: quotes are ordinary characters")
    if dialect.escape != default.escape:
        yield Line(
            "escape", dialect.escape, f"{sure}: a backslash stands before quotes or delimiters"
        )


def _column_lines(findings: Findings, names: Mapping[str, str], path: str) -> Iterator[Line]:
    for role in (*REQUIRED_COLUMNS, *(c for c in MAPPED_COLUMNS if c not in REQUIRED_COLUMNS)):
        guess = findings.guesses.get(role)
        if guess is not None:
            yield _column_line(findings, guess, names)
        elif role == "event_type":
            constant = guess_constant(findings, path, names)
            comment = f"{constant.certainty}: no column holds it; by the other columns or the path"
            yield Line(role, constant.sql, comment)
        elif role in REQUIRED_COLUMNS:
            yield Line(role, NOTHING, "0: found no column; fill this in")


def _column_line(findings: Findings, guess: Guess, names: Mapping[str, str]) -> Line:
    others = findings.fallbacks.get(guess.role, ())
    comment = f"{guess.certainty:.2g}: {guess.reason}; {guess.summary.describe()}"
    for other in others:
        comment += f"; gaps by {other.path}, {other.describe()}"
    if guess.role == "currency":
        comment += "; needs ingest.base_currency, and ingest.rates for other currencies"
    amount = findings.guesses.get("quantity")
    quantity = None if amount is None or others else amount.summary
    expression = write_expression(guess, others, names, quantity)
    if guess.role == "price" and expression.startswith("try_divide"):
        comment += "; it seems to be the value of all pieces"
    if guess.role == "event_ts" and findings.clock is not None:
        clock = names.get(findings.clock.path, findings.clock.sql)
        expression = f"concat_ws(' ', {expression}, {clock})"
        comment += f"; with the time of day of {findings.clock.path}, {findings.clock.describe()}"
    return Line(guess.role, expression, comment, is_off=guess.role == "currency")


def _id_lines(findings: Findings, names: Mapping[str, str]) -> Iterator[Line]:
    guess = findings.guesses.get("id")
    if guess is not None:
        comment = f"{guess.certainty:.2g}: {guess.reason}; {guess.summary.describe()}"
        yield Line("id_columns", [write_expression(guess, (), names)], comment)
    elif "order_id" in findings.guesses and "event_type" not in findings.guesses:
        comment = "0.6: order lines without an id; equal ones are different lines"
        yield Line("rows_are_distinct", True, comment)


def _time_lines(findings: Findings) -> Iterator[Line]:
    guess = findings.guesses.get("event_ts")
    if guess is None or (times := guess.summary.times) is None:
        return
    lines = []
    if times.unit:
        lines.append(Line("unit", times.unit, f"{times.share:.2g}: numbers since 1970"))
    pattern = times.pattern
    if pattern and findings.clock is not None:
        pattern += f" {find_clock(findings.clock.filled)}"
    if pattern:
        other = "" if times.certainty == 1 else "; day and month may be the other way round"
        lines.append(Line("format", pattern, f"{times.certainty:.2g}: by the values{other}"))
    if not times.has_zone and not UTC.search(words_of(guess.summary.path)):
        is_day = times.precision == DAY and findings.clock is None
        days = ", and values are days alone" if is_day else ""
        comment = f"0.5: no value names a zone{days}; the shop's own, such as Europe/Berlin?"
        lines.append(Line("time_zone", "UTC", comment))
    if lines:
        yield Line("times", tuple(lines))


def _number_lines(findings: Findings) -> Iterator[Line]:
    amounts = [findings.guesses[r].summary for r in ("price", "quantity") if r in findings.guesses]
    if any(summary.has_comma for summary in amounts):
        yield Line("decimal_sign", ",", "0.9: by the prices")


def _event_type_lines(findings: Findings, path: str) -> Iterator[Line]:
    if "event_type" not in findings.guesses:
        constant = guess_constant(findings, path, {})
        yield from (Line(t, t, f"{constant.certainty}: see columns") for t in constant.event_types)
        return
    counts = count_words(findings)
    listed = [word for word in counts.index if PUBLIC_WORD.fullmatch(word)][:MAX_WORDS]
    for word in listed:
        guess = guess_event_type(word)
        unsure = "" if guess.certainty else ", nothing is known about this word"
        comment = f"{guess.certainty:.2g}: {counts[word]:,} rows{unsure}"
        yield Line(word, guess.event_type, comment)


def _list_unused(findings: Findings) -> str:
    paths = [summary.path for summary in findings.unused if summary.n_filled]
    if not paths:
        return ""
    more = f" and {len(paths) - MAX_UNUSED} others" if len(paths) > MAX_UNUSED else ""
    listed = on_one_line(", ".join(paths[:MAX_UNUSED]))
    return f"# Columns without a role: {listed}{more}\n"
