"""Judge the counts and drifts of the last days by their limits."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Literal, NamedTuple

from profile_lib.events.quality_report.days import DayQuality, FileCount
from profile_lib.events.quality_report.drift import Drift

Level = Literal["error", "alarm", "warning"]
# The rejected rows that count for ingest.max_rejected_share.
COUNTED_REJECTED = "rejected, without robots and placeholders"
LEVELS: tuple[Level, ...] = ("error", "alarm", "warning")  # most important first


class Limits(NamedTuple):
    """The shares and indices above which a day has a problem."""

    max_shares: Mapping[str, float]  # rule → highest share of the rows read
    max_rejected_share: float
    warn_psi: float
    alarm_psi: float

    def drift_level(self, psi: float) -> Level | None:
        """Return how serious a drift is; None: not at all."""
        if psi >= self.alarm_psi:
            return "alarm"
        return "warning" if psi >= self.warn_psi else None


class Problem(NamedTuple):
    """A problem of a source on a day."""

    level: Level
    source: str
    day: date
    text: str


class RuleShare(NamedTuple):
    """The rows of a source's latest day that meet or break a rule."""

    name: str
    n_rows: int
    share: float
    limit: float | None
    example: str | None
    trend: tuple[float, ...]  # share on each day of the report, oldest first

    @property
    def is_above_limit(self) -> bool:
        """Whether the share is above the limit."""
        return self.limit is not None and self.share > self.limit


class SourceQuality(NamedTuple):
    """All that the report says about a source."""

    days: tuple[DayQuality, ...]  # newest first
    rules: tuple[RuleShare, ...]  # of the latest day, most important first
    files: tuple[FileCount, ...]  # newest day first
    drifts: tuple[Drift, ...]  # newest day first, largest index first

    @property
    def latest(self) -> DayQuality:
        """The latest day with a batch."""
        return self.days[0]

    @property
    def latest_drifts(self) -> tuple[Drift, ...]:
        """The drifts of the latest day that was compared."""
        return tuple(d for d in self.drifts if d.day == self.drifts[0].day)

    def psi_trend(self, field: str) -> tuple[float, ...]:
        """Return the index of a field on each day that was compared, oldest first."""
        return tuple(d.psi for d in reversed(self.drifts) if d.field == field)


class QualityReport(NamedTuple):
    """The quality of all sources in the last days."""

    first_day: date
    last_day: date
    limits: Limits
    sources: tuple[SourceQuality, ...]  # those with the gravest problems first, then the largest
    problems: tuple[Problem, ...]  # gravest first

    def problems_of(self, level: Level) -> tuple[Problem, ...]:
        """Return the problems of one level."""
        return tuple(p for p in self.problems if p.level == level)


def build_report(
    first_day: date,
    last_day: date,
    limits: Limits,
    days: Sequence[DayQuality],
    files: Sequence[FileCount],
    drifts: Sequence[Drift],
) -> QualityReport:
    """Build the report on the days from `first_day` to `last_day`; the lists may be unordered."""
    by_source = groupby(sorted(days, key=_newest_first), key=attrgetter("source"))
    sources = [
        _judge_source(tuple(source_days), limits, files, drifts) for _, source_days in by_source
    ]
    problems = sorted(
        (p for source in sources for p in _find_problems(source, limits, last_day)),
        key=lambda p: (LEVELS.index(p.level), -p.day.toordinal(), p.source),
    )
    gravest = {p.source: LEVELS.index(p.level) for p in reversed(problems)}
    sources.sort(key=lambda s: (gravest.get(s.latest.source, len(LEVELS)), -s.latest.counts.n_read))
    return QualityReport(first_day, last_day, limits, tuple(sources), tuple(problems))


def _newest_first(day: DayQuality | FileCount | Drift) -> tuple[str, int]:
    return day.source, -day.day.toordinal()


def _judge_source(
    days: tuple[DayQuality, ...],
    limits: Limits,
    files: Sequence[FileCount],
    drifts: Sequence[Drift],
) -> SourceQuality:
    name = days[0].source
    return SourceQuality(
        days,
        tuple(sorted(_share_rules(days, limits), key=lambda r: (not r.is_above_limit, -r.share))),
        tuple(sorted((f for f in files if f.source == name), key=_newest_first)),
        tuple(
            sorted(
                (d for d in drifts if d.source == name), key=lambda d: (*_newest_first(d), -d.psi)
            )
        ),
    )


def _share_rules(days: Sequence[DayQuality], limits: Limits) -> Iterator[RuleShare]:
    """Yield the share of the counted rejected rows and of each rule."""
    latest, oldest_first = days[0], days[::-1]
    yield RuleShare(
        COUNTED_REJECTED,
        latest.counts.n_faulty,
        latest.share(latest.counts.n_faulty),
        limits.max_rejected_share,
        None,
        tuple(day.share(day.counts.n_faulty) for day in oldest_first),
    )
    for count in latest.counts.rules:
        name = count.name
        yield RuleShare(
            name,
            count.n_rows,
            latest.share(count.n_rows),
            limits.max_shares.get(name),
            count.example,
            tuple(day.share_of(name) for day in oldest_first),
        )


def _find_problems(source: SourceQuality, limits: Limits, last_day: date) -> Iterator[Problem]:
    latest = source.latest
    for day in source.days:
        if day.n_unaccounted:
            n_read = day.counts.n_read
            text = f"{n_read:,} rows read, but {n_read - day.n_unaccounted:,} have a status"
            yield Problem("error", day.source, day.day, text)
    for rule in source.rules:
        if rule.is_above_limit:
            text = f"{rule.share:.2%} of the rows: {rule.name} (limit {rule.limit:.2%})"
            yield Problem("alarm", latest.source, latest.day, text)
    for drift in source.drifts:
        if (level := limits.drift_level(drift.psi)) is not None:
            yield Problem(level, drift.source, drift.day, drift.describe())
    if n_days := (last_day - latest.day).days:
        text = f"no batch since, {n_days} days before the latest one of all sources"
        yield Problem("warning", latest.source, latest.day, text)
