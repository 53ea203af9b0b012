"""Write the SQL expressions of guessed columns."""

import re
from collections.abc import Mapping, Sequence

from profile_lib.events.drafting.roles import Guess
from profile_lib.events.drafting.summaries import Summary
from profile_lib.events.drafting.vocabulary import words_of

ID_ROLES = {"user_id", "item_id", "session_hint", "order_id", "id"}
AMOUNT_ROLES = {"price", "quantity", "rating"}
OF_ALL_PIECES = re.compile(r".*\b(value|revenue|amount|total|sales)\b.*")
MILLIS = re.compile(r".*\b(ms|millis|msec|milliseconds)\b.*")


def write_expression(
    guess: Guess,
    fallbacks: Sequence[Summary],
    names: Mapping[str, str],
    quantity: Summary | None = None,
) -> str:
    """Write the expression of a guessed column.

    `fallbacks` fill the gaps of the column. `names` are those that columns of a file without a
    header get, by their path. A value of all pieces is divided by the `quantity`.
    """
    if guess.role == "price" and quantity is not None and is_of_all_pieces(guess.summary):
        value, number = _read("price", guess.summary, names), _read("quantity", quantity, names)
        return f"try_divide(CAST({value} AS DOUBLE), CAST({number} AS DOUBLE))"
    parts = [_read(guess.role, summary, names) for summary in (guess.summary, *fallbacks)]
    if len(parts) == 1:
        return parts[0]
    is_csv = guess.summary.column.is_csv
    filled = [f"nullif({part}, '')" if is_csv else part for part in parts[:-1]]
    return f"coalesce({', '.join([*filled, parts[-1]])})"


def _read(role: str, summary: Summary, names: Mapping[str, str]) -> str:
    sql = names.get(summary.path, summary.sql)
    if role in ID_ROLES and issubclass(summary.column.type, float):
        return f"CAST(CAST({sql} AS BIGINT) AS STRING)"
    if role in AMOUNT_ROLES and summary.is_money_text:
        return f"regexp_replace({sql}, '[^0-9.,+-]', '')"
    if role == "dwell_seconds" and MILLIS.fullmatch(words_of(summary.path)):
        return f"CAST({sql} AS DOUBLE) / 1000"
    return sql


def is_of_all_pieces(price: Summary) -> bool:
    """Return whether a column holds the value of all pieces, by its name."""
    return OF_ALL_PIECES.fullmatch(words_of(price.path)) is not None and not price.has_comma


def is_filled(summary: Summary, names: Mapping[str, str]) -> str:
    """Return the condition that a column has a value."""
    sql = names.get(summary.path, summary.sql)
    return f"{sql} <> ''" if summary.column.is_csv else f"{sql} IS NOT NULL"
