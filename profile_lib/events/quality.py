"""Count a batch's rows by the rules that they meet or break."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.events.cleaning import EXAMPLE_SIGN, KEPT, LEFT_OUT, REJECTED

DUPLICATE = "duplicate"  # status of a row whose event occurs earlier in the batch
KNOWN = "known"  # status of a row whose event is stored already
SUPPRESSED = "suppressed"  # status of a row of a person who was erased
REFUSED = "refused"  # status of a row that would be kept, were its batch not refused
STATUSES = (KEPT, REJECTED, LEFT_OUT, DUPLICATE, KNOWN, SUPPRESSED, REFUSED)
RARE_STATUSES = (SUPPRESSED, REFUSED)  # are counted in a batch that has them
READ = "read"
BOT = "bot:"  # begins the rules about robots
# Rules that do not count towards the share of rejected rows.
UNCOUNTED = (BOT, "user_id:placeholder", "user_id:too_frequent")
WORD_RULE = "event_type:not_mapped"  # its example is the source's word, not a shape
MIN_WORD_ROWS = 20
PUBLIC_WORD = re.compile(r"[A-Za-z_ .:$/-]{1,40}")


class Count(NamedTuple):
    """The number of rows that meet or break a rule; `example` shows no personal data."""

    rule: str
    field: str
    n_rows: int
    example: str | None = None

    @property
    def name(self) -> str:
        """The rule with its field, as in `ingest.max_shares`."""
        return f"{self.field}:{self.rule}" if self.field else self.rule


class BatchQuality(NamedTuple):
    """All counts of a batch."""

    n_read: int
    statuses: Mapping[str, int]
    rules: tuple[Count, ...]

    @property
    def n_faulty(self) -> int:
        """The number of rejected rows that are neither of robots nor of nobody."""
        uncounted = sum(c.n_rows for c in self.rules if is_uncounted(c.name))
        return max(self.statuses.get(REJECTED, 0) - uncounted, 0)

    def counts(self) -> list[Count]:
        """Return one count per status and per rule.

        Only a batch with rows of RARE_STATUSES has counts of these.
        """
        listed = (s for s in STATUSES if s not in RARE_STATUSES or s in self.statuses)
        statuses = [Count(s, "", self.statuses.get(s, 0)) for s in listed]
        return [Count(READ, "", self.n_read), *statuses, *self.rules]

    def as_refused(self) -> "BatchQuality":
        """Return the counts if nothing of the batch is added to events."""
        refused = {KEPT: 0, REFUSED: self.statuses.get(KEPT, 0)}
        return self._replace(statuses={**self.statuses, **refused})

    def describe(self) -> str:
        """Describe the batch in one line."""
        parts = [
            f"{self.statuses[s]:,} {s.replace('_', ' ')}" for s in STATUSES if s in self.statuses
        ]
        return f"{self.n_read:,} rows read: {', '.join(parts)}"

    def check_conservation(self) -> None:
        """Raise RuntimeError unless each row that was read has one status."""
        if self.n_read != sum(self.statuses.values()):
            raise RuntimeError(f"{self.n_read} rows were read, but judged: {dict(self.statuses)}")


def is_uncounted(rule: str) -> bool:
    """Return whether a rule does not count towards the share of rejected rows."""
    return rule.startswith(UNCOUNTED)


def count_rules(judged: DataFrame) -> tuple[dict[str, int], tuple[Count, ...]]:
    """Count the rows per status, and per rule in `reasons` and `issues`.

    A rejected row counts for its first reason alone, so that these counts add up to the rejected
    rows; a left-out row counts for no rule.
    """
    empty = F.array().cast("array<string>")
    reason = F.when(F.col("status") == REJECTED, F.slice("reasons", 1, 1)).otherwise(empty)
    issues = F.when(F.col("status") != LEFT_OUT, F.col("issues")).otherwise(empty)
    labels = F.concat(F.array("status"), reason, issues)
    parts = F.split("label", EXAMPLE_SIGN, 2)
    name, example = parts[0].alias("name"), F.get(parts, F.lit(1)).alias("example")
    by_example = judged.select(F.explode(labels).alias("label")).groupBy(name, example)
    counted = by_example.agg(F.count("*").alias("n")).groupBy("name")
    rows = counted.agg(F.sum("n"), F.max(F.struct("n", "example"))).collect()
    statuses = {name: n for name, n, _ in rows if name in STATUSES}
    rules = (_describe(*row) for row in rows if row[0] not in STATUSES)
    return statuses, tuple(sorted(rules))


def _describe(name: str, n_rows: int, most_frequent: Row) -> Count:
    field, _, rule = name.rpartition(":")
    return Count(rule, field, n_rows, _public_example(name, *most_frequent))


def _public_example(rule: str, n_rows: int, example: str | None) -> str | None:
    """Return an example that shows nobody: a shape, or a word that many rows have.

    >>> _public_example("event_type:not_mapped", 500, "add_to_wishlist")
    'add_to_wishlist'
    >>> _public_example("event_type:not_mapped", 3, "Ann Smith")
    """
    if example is None or rule != WORD_RULE:
        return example
    is_public = n_rows >= MIN_WORD_ROWS and PUBLIC_WORD.fullmatch(example) is not None
    return example if is_public else None
