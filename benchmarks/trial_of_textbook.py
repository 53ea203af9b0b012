"""The textbook's stream under kills, beside the counts of the events that are there."""

from collections import Counter

from benchmarks.kills import PARTS, Sign
from benchmarks.trials import PHASES, Kill, Trial
from profile_lib.tables import EVENTS
from tests.small_shop import event, frame

USERS = 48


class Textbook(Trial):
    """A table of counts by the textbook's stream; it has no Python workers."""

    module = "benchmarks.textbook"
    parts, works, phases = PARTS[:2], ("stream",), [p for p in PHASES if p != "computing"]

    def prepare(self) -> None:
        """An empty table of counts."""
        self.counts, self.n = str(self.folder / "tables" / "counts"), 0
        empty = self.store.spark.createDataFrame([], "user_id string, n_events long")
        empty.write.format("delta").save(self.counts)
        self.write_events()

    def write_events(self) -> None:
        """An event of each of some users."""
        new = [event(self.n + u, f"u{u}", self.n, "view", "tee", 0) for u in range(USERS)]
        self.n += len(new)
        self.store.append(EVENTS, frame(self.store, EVENTS, new))
        self.remember_version()

    def signs(self, work: str) -> dict[str, Sign]:
        """It keeps no state."""
        return self.signs_in("counts")

    def trigger_work(self, kill: Kill) -> None:
        """New events alone: it knows no others."""
        self.write_events()

    def count_faults(self) -> Counter[str]:
        """Beside the number of events of each user; then they are set right."""
        read = self.store.spark.read.format("delta").load(self.counts).collect()
        found = Counter(dict(map(tuple, read)))
        right = self.store.read(EVENTS).groupBy("user_id").count().toDF("user_id", "n_events")
        wanted = Counter(dict(map(tuple, right.collect())))
        kinds = Counter(lost=len(wanted - found), duplicated=len(found - wanted))
        if +kinds:
            right.write.format("delta").mode("overwrite").save(self.counts)
        return +kinds
