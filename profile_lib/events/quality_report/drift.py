"""Compare the events of each day with those of the same weekday in earlier weeks."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

import pandas as pd

from profile_lib.events.daily_values import MAX_VALUES, OTHER
from profile_lib.metrics.stability import stability_terms

N_WEEKS = 4  # earlier weeks whose mean a day is compared with, at most
N_MOVES = 3  # values that explain a drift


class Move(NamedTuple):
    """The share of a value, before and on the day."""

    value: str
    before: float
    now: float


class Drift(NamedTuple):
    """How far a field on a day is from the same weekday before."""

    source: str
    day: date
    field: str
    psi: float
    n_rows: int
    mean_rows: float  # of the earlier days
    n_weeks: int  # earlier days that it is compared with
    moves: tuple[Move, ...]  # values that add most to the index, largest first

    def describe(self) -> str:
        """Describe the drift in one line."""
        moves = ", ".join(f"{m.value} {m.before:.1%} → {m.now:.1%}" for m in self.moves)
        return f"{self.field} drifted, PSI {self.psi:.2f}: {moves}"


def measure_drift(counts: pd.DataFrame, min_rows: int) -> list[Drift]:
    """Compare each day with the mean of earlier days of its weekday.

    These are the days of up to N_WEEKS earlier weeks, each with the same weight. `counts` has the
    columns source, day, field, value and n_rows, and one row per value. Days with fewer than
    `min_rows` events are not compared, nor are others compared with them. A value with less than
    1 / MAX_VALUES of the events, before and on the day, counts as OTHER, because rarer values are
    not counted in every batch.
    """
    return [
        drift
        for (source, field), rows in counts.groupby(["source", "field"])
        for drift in _compare_days(str(source), str(field), rows, min_rows)
    ]


def _compare_days(source: str, field: str, rows: pd.DataFrame, min_rows: int) -> Iterator[Drift]:
    table = rows.pivot(index="day", columns="value", values="n_rows").fillna(0).clip(lower=0)
    table = table[table.sum(axis=1) >= max(min_rows, 1)]
    n_rows = table.sum(axis=1)
    shares = table.div(n_rows, axis=0)
    for day in shares.index:
        weeks = [day - timedelta(weeks=n) for n in range(1, N_WEEKS + 1)]
        earlier = shares.index.intersection(weeks)
        if len(earlier):
            pair = pd.DataFrame({"before": shares.loc[earlier].mean(), "now": shares.loc[day]})
            psi, moves = _compare(pair)
            mean_rows = float(n_rows[earlier].mean())
            yield Drift(source, day, field, psi, int(n_rows[day]), mean_rows, len(earlier), moves)


def _compare(pair: pd.DataFrame) -> tuple[float, tuple[Move, ...]]:
    """Return the index and the largest moves of two columns of shares, indexed by value."""
    is_frequent = pair.max(axis=1) >= 1 / MAX_VALUES
    pooled = pair.groupby(pair.index.where(is_frequent, OTHER)).sum()
    terms = pd.Series(stability_terms(pooled["before"], pooled["now"]), pooled.index)
    largest = pooled.loc[terms[terms > 0].nlargest(N_MOVES).index]
    moves = tuple(Move(str(value), *shares) for value, *shares in largest.itertuples())
    return float(terms.sum()), moves
