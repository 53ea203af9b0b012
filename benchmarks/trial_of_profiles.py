"""The project's own stream and its refreshes under kills, beside a refresh of everything."""

from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.kills import PARTS, Sign
from benchmarks.trials import BEFORE_COMMIT, PHASES, Kill, Trial
from jobs.profiling import served_model
from jobs.refresh_profiles import Refresh
from profile_lib.store import Store
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS
from tests.agreement import agree
from tests.shops import Batch, batches_of, write_batch
from tests.small_shop import profiles, save_plain_model

SHOPS = 12  # of four users each


class Profiles(Trial):
    """The project's own stream, with refreshes."""

    module = "benchmarks.chaos_victim"
    parts, works, phases = PARTS, ("stream", "refresh"), PHASES

    def begin(self) -> None:
        """Some shops of a few users each."""
        self.ask = self.folder / "ask"
        save_plain_model(self.folder / "models" / self.given.training.name)
        self.shops = [batches_of(number, seed=number) for number in range(SHOPS)]
        self.known: dict[str, dict[str, dict[str, Any]]] = {}
        self.write([next(shop) for shop in self.shops])
        self.n_compared = 0

    def write(self, batches: list[Batch]) -> None:
        """Let the tables be written to from outside."""
        write_batch(self.store, batches, self.known)
        self.wrote()

    @property
    def checkpoint(self) -> Path:
        """Of the query that makes profiles."""
        return super().checkpoint / "profiles"

    def signs(self, work: str) -> dict[str, Sign]:
        """A refresh reads, computes and notes elsewhere."""
        signs = self.signs_in(USER_PROFILES.name)
        if work == "stream":
            return signs | {"computing": Sign(self.checkpoint / "state", ".")}
        notes = self.folder / "tables" / "profile_refreshes" / "_delta_log"
        return signs | {
            "reading": Sign(self.folder / "signs", "reading"),
            "computing": Sign(self.folder / "signs", "computing"),
            "checkpointing": Sign(notes, BEFORE_COMMIT),
        }

    def bring(self, kill: Kill) -> None:
        """Events late, new, again, corrected and deleted, or what is declared of users alone."""
        if kill.work == "stream":
            batches = [next(shop) for shop in self.shops]
            self.write([batch._replace(items={}, users={}) for batch in batches])
            rest = [batch._replace(events={}) for batch in batches]
        else:
            ages = {"age_band": "45-54"}
            rest = [Batch({}, {}, {user: row | ages for user, row in self.known["users"].items()})]
        if kill.beside:  # it reads while the stream computes
            self.ask.touch()
        self.write(rest)
        if kill.work == "refresh":
            self.ask.touch()

    def more(self) -> None:
        """Events alone."""
        self.write([next(shop)._replace(items={}, users={}) for shop in self.shops])

    def finish(self) -> None:
        """A refresh for what was told of items and users, after one that is still under way."""
        self.until(self.is_idle)
        self.ask.touch()

    def is_idle(self) -> bool:
        """Whether the refreshes, too, are done."""
        return self.is_through() and not self.ask.exists()

    def wrong(self) -> Counter[str]:
        """Beside what a refresh into an empty table says: every cell but `events_version`."""
        self.n_compared += 1
        wanted = self.rebuilt(self.folder / f"rebuilt{self.n_compared}")
        read = [r.asDict(recursive=True) for r in self.store.read(USER_PROFILES).collect()]
        rows = Counter(row["user_id"] for row in read)
        found = {row.pop("user_id"): row for row in read}
        kinds = Counter(lost=len(wanted.keys() - found.keys()))
        kinds["twice"] += sum(n > 1 for n in rows.values())
        for user, row in found.items():
            kinds[_kind(row, wanted.get(user))] += 1
        return +Counter({kind: n for kind, n in kinds.items() if kind != "right"})

    def rebuilt(self, folder: Path) -> dict[str, dict[str, Any]]:
        """All profiles anew, of the same events, items and users."""
        folder.mkdir()
        for table in (EVENTS, ITEMS, USERS):
            (folder / table.name).symlink_to(self.store.path(table))
        other = Store(self.store.spark, str(folder))
        Refresh(other, self.given, served_model(self.given)).rebuild()
        return profiles(other)


def _kind(row: dict[str, Any], wanted: dict[str, Any] | None) -> str:
    if wanted is None:
        return "not gone"
    found, all_of_it = sum(row["active_hours"]), sum(wanted["active_hours"])
    if found != all_of_it:
        return "lost" if found < all_of_it else "twice"
    return "right" if all(agree(row[k], wanted[k]) for k in wanted if k in row) else "wrong"
