"""Write the tables that depend on a batch of judged rows."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.delta.merge import IS_DELETED, add_deletions
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.cleaning import KEPT, REJECTED
from profile_lib.events.formats.registry import FILE
from profile_lib.events.quality import (
    BOT,
    REFUSED,
    BatchQuality,
    count_rules,
    is_uncounted,
)
from profile_lib.events.suppression import list_raw_ids, mark_suppressed
from profile_lib.events.validation import (
    TOO_FREQUENT,
    build_rejected_events,
    count_user_days,
    find_frequent_ids,
    is_kept,
    mark_duplicates,
    mark_known,
    partition_by_event,
    reject,
)
from profile_lib.pipelines.bot_rates import RateVerdict, judge_rates
from profile_lib.pipelines.daily_values import write_daily_values
from profile_lib.pipelines.dimensions import write_items, write_users
from profile_lib.pipelines.event_source import Source
from profile_lib.pipelines.link_people import update_people, write_links
from profile_lib.pipelines.suppress_list import read_suppress_list
from profile_lib.spark.frames import union_all
from profile_lib.tables import DATA_QUALITY, EVENTS, REJECTED_EVENTS
from profile_lib.tables.events import PAST_INSTRUCTIONS

N_REPORTED_RULES = 3
LATE_DAYS = 31  # an event that arrives later may be of an export of the past
DAYS_AROUND = 1  # an event that arrives again may have a date as many days earlier or later

log = logging.getLogger(__name__)


def write_batch(
    store: Store, source: Source, judged: DataFrame, batch_id: str, load_date: date
) -> None:
    """Deduplicate judged rows and write each table, `events` last.

    A batch that is written again, after a failure or in a stream, leaves the same tables. Raises
    InputError, and writes only rejected_events and data_quality, if too many rows break a rule;
    what it wrote there is replaced when the batch is read again. Call `check_key` before.
    """
    observation = Observation("read")
    is_late = F.col("ingest_ts") > F.col("event_ts") + F.expr(f"INTERVAL {LATE_DAYS} DAYS")
    n_rows, n_late = F.count(F.lit(1)), F.count_if(is_kept() & is_late)
    observed = judged.observe(observation, n_rows.alias("n_rows"), n_late.alias("n_late"))
    with_day = observed.withColumn("load_date", F.lit(load_date))
    # A checkpoint, unlike a cached frame, spares each later query the plan of all that came before.
    first = partition_by_event(with_day).transform(mark_duplicates).localCheckpoint()
    tokens = read_suppress_list(store)
    if tokens is not None:
        first = _mark_suppressed(source, first, tokens)
    user_days = count_user_days(first.where(is_kept())).localCheckpoint()
    dates = _find_dates(user_days)
    verdict = _judge_users(store, source, _mark_known(store, first, dates), user_days, dates)
    quality = BatchQuality(observation.get["n_rows"], *count_rules(verdict.judged))
    _Batch(store, source, batch_id, load_date, tokens).write(verdict, quality)
    _warn_of_past(source.mapping.name, observation.get["n_late"], quality.n_read)


def _warn_of_past(name: str, n_late: int, n_read: int) -> None:
    """Warn if most events of a batch arrived long after they happened."""
    if 2 * n_late > n_read:
        log.warning(
            f"{name}: {n_late:,} of {n_read:,} rows arrived more than {LATE_DAYS} days after they "
            f"happened; examples cannot learn from events before their arrival. {PAST_INSTRUCTIONS}"
        )


def _mark_suppressed(source: Source, judged: DataFrame, tokens: DataFrame) -> DataFrame:
    """Mark the rows of erased people, and drop their ids from others."""
    space = source.mapping.user_space
    raw_ids = list_raw_ids(judged, space)
    found = source.select_suppressed_ids(raw_ids, tokens).localCheckpoint()
    return judged if found.isEmpty() else mark_suppressed(judged, found, space)


def _find_dates(user_days: DataFrame) -> list[date]:
    """Return the dates of the events of a batch."""
    return sorted(row["event_date"] for row in user_days.select("event_date").distinct().collect())


def _judge_users(
    store: Store, source: Source, judged: DataFrame, user_days: DataFrame, dates: Sequence[date]
) -> RateVerdict:
    """Reject the rows of ids that mean nobody, and of robots."""
    settings = source.settings
    frequent = find_frequent_ids(user_days, settings.max_user_share, settings.min_rows_for_share)
    if frequent:
        judged = reject(judged, F.col("user_id").isin(*frequent), TOO_FREQUENT)
    time_zone = source.mapping.times.time_zone
    return judge_rates(store, settings, time_zone, judged, user_days, dates)


def _mark_known(store: Store, judged: DataFrame, dates: Sequence[date]) -> DataFrame:
    """Mark the rows whose event is stored as KNOWN."""
    if not dates or not store.exists(EVENTS):
        return judged
    near = [F.date_add(F.lit(d), n) for d in dates for n in range(-DAYS_AROUND, DAYS_AROUND + 1)]
    stored = store.read(EVENTS).where(F.col("event_date").isin(*near)).select("event_id")
    known = stored.join(judged.select("event_id"), "event_id", "left_semi").localCheckpoint()
    return judged if known.isEmpty() else mark_known(judged, known)


@dataclass(frozen=True)
class _Batch:
    """A batch and where it is written."""

    store: Store
    source: Source
    id: str
    load_date: date
    tokens: DataFrame | None  # of the suppress list

    def write(self, verdict: RateVerdict, quality: BatchQuality) -> None:
        """Write the tables; those that do not depend on each other at the same time."""
        quality.check_conservation()
        was_refused = self._was_refused()
        problem = find_excess(self.source.settings, quality)
        if problem is not None:
            # Robots are left out: a later batch would restore those who turn out to be people.
            people = verdict.judged.where(~F.get("reasons", F.lit(0)).startswith(BOT))
            self._write_rejected(RateVerdict(people), was_refused)
            self._write_quality(quality.as_refused(), was_refused)
            raise InputError(problem)
        has_moved = verdict.retracted is not None or verdict.restored is not None
        has_events = quality.statuses.get(KEPT) or has_moved
        writes = [partial(self._write_quality, quality, was_refused)]
        if was_refused:  # before the counts, from which a repeated run learns of the refusal
            self._write_rejected(verdict, was_refused)
        elif quality.statuses.get(REJECTED) or has_moved:
            writes.append(partial(self._write_rejected, verdict, was_refused))
        events = self._select_events(verdict)
        if has_events:
            writes += [partial(self._write_users, events), partial(self._write_items, events)]
        if self.source.links_ids:
            writes.append(partial(write_links, self.store, self.source, events, self.tokens))
        run_together(writes)
        log.info(f"{self.source.mapping.name}: {quality.describe()}")
        if self.source.people is not None:
            # Before the events, so that a repeated run finds the links of the same new events.
            self._write_left_out(update_people(self.store, self.source.people), quality.n_read)
        for count in quality.rules:
            if count.rule == "no_match" and count.n_rows == quality.n_read:
                log.warning(
                    f"{self.source.mapping.name}: {count.field} matches no row; wanted keys with "
                    "equal values, see lookups in the mapping"
                )
        if has_events:
            # After the items, which have the categories, and before the events: a batch that fails
            # in between is counted once all the same.
            write_daily_values(
                self.store, self.source.mapping.name, self.id, events, verdict.retracted
            )
            self._write_events(events, verdict.retracted)

    def _select_events(self, verdict: RateVerdict) -> DataFrame:
        events = verdict.judged.where(is_kept())
        if verdict.restored is None:
            return events
        restored = verdict.restored.withColumn("load_date", F.lit(self.load_date))
        return events.unionByName(restored, allowMissingColumns=True)

    def _stored_counts(self) -> DataFrame:
        """Return the rows of data_quality about the same files."""
        name = self.source.mapping.name
        stored = self.store.read_or_empty(DATA_QUALITY).where(F.col("source") == name)
        return stored.where(F.col("batch_id") == self.id)

    def _was_refused(self) -> bool:
        """Return whether the same files have been refused before."""
        return not self._stored_counts().where(F.col("rule") == REFUSED).isEmpty()

    def _write_quality(self, quality: BatchQuality, was_refused: bool) -> None:
        """Write the counts; a batch that is written again leaves those of its first time.

        The counts of a refused batch are replaced.
        """
        name, n_read = self.source.mapping.name, max(quality.n_read, 1)
        rows = [
            (name, self.load_date, self.id, c.rule, c.field, c.n_rows, c.n_rows / n_read, c.example)
            for c in quality.counts()
        ]
        frame = self.store.spark.createDataFrame(rows, DATA_QUALITY.schema)
        if was_refused:
            outdated = self._stored_counts().join(frame, [*DATA_QUALITY.key], "left_anti")
            frame = add_deletions(DATA_QUALITY, frame, outdated)
        self.store.upsert(DATA_QUALITY, frame, update=was_refused)

    def _write_left_out(self, counts: dict[str, int], n_read: int) -> None:
        """Count the ids of people that limits leave out, by rule."""
        name, n_rows = self.source.mapping.name, max(n_read, 1)
        rows = [
            (name, self.load_date, self.id, rule, "user_id", n, n / n_rows, None)
            for rule, n in counts.items()
        ]
        if rows:
            log.warning(f"{name}: ids of people left out: {counts}; see people in the settings")
            frame = self.store.spark.createDataFrame(rows, DATA_QUALITY.schema)
            self.store.upsert(DATA_QUALITY, frame, update=False)

    def _write_users(self, events: DataFrame) -> None:
        declared = self.source.read_declared_users(self.store.spark, self.tokens)
        write_users(self.store, events, declared, self.source.mapping.user_space)

    def _write_items(self, events: DataFrame) -> None:
        declared = self.source.read_declared_items(self.store.spark)
        max_chars = self.source.settings.max_text_chars
        write_items(self.store, events, declared, max_chars, self.id)

    def _write_rejected(self, verdict: RateVerdict, was_refused: bool) -> None:
        rejected = verdict.judged.where(F.col("status") == REJECTED)
        if verdict.retracted is not None:
            rejected = rejected.unionByName(verdict.retracted, allowMissingColumns=True)
        rows = build_rejected_events(rejected)
        deleted = [] if verdict.restored is None else [verdict.restored.select("row_id")]
        if was_refused:
            refused = self._select_refused(verdict.judged).join(rows, "row_id", "left_anti")
            deleted.append(refused.select("row_id"))
        if deleted:
            rows = add_deletions(REJECTED_EVENTS, rows, union_all(deleted).distinct())
        self.store.upsert(REJECTED_EVENTS, rows, update=False)

    def _select_refused(self, judged: DataFrame) -> DataFrame:
        """Select the rows that were rejected when the same files were refused."""
        stored = self.store.read_or_empty(REJECTED_EVENTS)
        files = judged.select(F.col(FILE).alias("file")).distinct()
        return stored.where(F.col("source") == self.source.mapping.name).join(files, "file")

    def _write_events(self, events: DataFrame, retracted: DataFrame | None) -> None:
        """Add the new events and delete the retracted ones."""
        changes = events.select(*EVENTS.column_names(), F.lit(False).alias(IS_DELETED))
        if retracted is not None:
            deletions = retracted.select(*EVENTS.column_names(), F.lit(True).alias(IS_DELETED))
            changes = changes.unionByName(deletions)
        self.store.upsert(EVENTS, changes, update=False)


def run_together(writes: Sequence[Callable[[], None]]) -> None:
    """Run writes of different tables in threads; raise the first error when all have ended.

    Most of the time of a small write is spent on planning and on its commit, which take one core.
    """
    with ThreadPoolExecutor(max_workers=len(writes)) as pool:
        for future in [pool.submit(write) for write in writes]:
            future.result()


def find_excess(settings: IngestSettings, quality: BatchQuality) -> str | None:
    """Return a sentence if more rows break a rule than the settings allow, else None."""
    n_read = max(quality.n_read, 1)
    if quality.n_faulty > settings.max_rejected_share * n_read:
        counted = [c for c in quality.rules if not is_uncounted(c.name)]
        frequent = sorted(counted, key=lambda c: -c.n_rows)[:N_REPORTED_RULES]
        reasons = ", ".join(f"{c.n_rows:,} × {c.name}" for c in frequent)
        return (
            f"events: {quality.n_faulty / n_read:.1%} of {quality.n_read:,} rows rejected "
            f"(limit {settings.max_rejected_share:.1%}): {reasons}; nothing was added to events; "
            "see data_quality and rejected_events, and fix the source or its mapping, or raise "
            "ingest.max_rejected_share"
        )
    for count in quality.rules:
        limit = settings.max_shares.get(count.name)
        if limit is not None and count.n_rows > limit * n_read:
            return (
                f"events: {count.n_rows / n_read:.1%} of {quality.n_read:,} rows have "
                f"{count.name} (limit {limit:.1%}); nothing was added to events; fix the source or "
                f"its mapping, or raise ingest.max_shares.{count.name}"
            )
    return None
