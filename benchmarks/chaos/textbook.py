"""Compare the textbook's stream of counts under kills with the stored events."""

from collections import Counter

from benchmarks.chaos.process import PARTS, Sign
from benchmarks.chaos.trial import PHASES, Kill, Trial
from profile_lib.tables import EVENTS
from tests.small_shop import event, frame

USERS = 48


class TextbookTrial(Trial):
    """A table of counts by the textbook's stream, which has no Python workers."""

    name, module = "textbook", "benchmarks.chaos.textbook_victim"
    parts, works, phases = PARTS[:2], ("stream",), [p for p in PHASES if p != "computing"]

    def prepare(self) -> None:
        """Write an empty table of counts, and the first events."""
        self.counts, self.n = str(self.folder / "tables" / "counts"), 0
        empty = self.store.spark.createDataFrame([], "user_id string, n_events long")
        empty.write.format("delta").save(self.counts)
        self.write_events()

    def write_events(self) -> None:
        """Write one event per user."""
        new = [event(self.n + u, f"u{u}", self.n, "view", "tee", 0) for u in range(USERS)]
        self.n += len(new)
        self.store.append(EVENTS, frame(self.store, EVENTS, new))
        self.remember_version()

    def signs(self, work: str) -> dict[str, Sign]:
        """The signs by phase, except computing: the stream keeps no state."""
        return self.signs_in("counts")

    def trigger_work(self, kill: Kill) -> None:
        """Write new events, the only kind that the textbook's stream handles."""
        self.write_events()

    def count_faults(self) -> Counter[str]:
        """Compare each user's count with the events, then correct the table."""
        rows = self.store.spark.read.format("delta").load(self.counts).collect()
        stored = Counter(dict(map(tuple, rows)))
        counted = self.store.read(EVENTS).groupBy("user_id").count().toDF("user_id", "n_events")
        expected = Counter(dict(map(tuple, counted.collect())))
        kinds = Counter(lost=len(expected - stored), duplicated=len(stored - expected))
        if +kinds:
            counted.write.format("delta").mode("overwrite").save(self.counts)
        return +kinds
