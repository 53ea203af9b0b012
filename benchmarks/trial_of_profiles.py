"""The project's own stream and its refreshes under kills, beside a refresh of everything."""

from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.kills import PARTS, Sign
from benchmarks.trials import BEFORE_COMMIT, PHASES, Kill, Trial
from profile_lib.delta.store import Store
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS
from tests.agreement import agree
from tests.shops import Batch, generate_batches, write_batch
from tests.small_shop import profiles, save_plain_model

SHOPS = 12  # of four users each


class Profiles(Trial):
    """The project's own stream, with refreshes."""

    module = "benchmarks.chaos_victim"
    parts, works, phases = PARTS, ("stream", "refresh"), PHASES

    def prepare(self) -> None:
        """Some shops of a few users each."""
        self.request_file = self.folder / "ask"
        save_plain_model(self.folder / "models" / self.settings.training.name)
        self.shops = [generate_batches(number, seed=number) for number in range(SHOPS)]
        self.known: dict[str, dict[str, dict[str, Any]]] = {}
        self.write([next(shop) for shop in self.shops])
        self.n_compared = 0

    def write(self, batches: list[Batch]) -> None:
        """Let the tables be written to from outside."""
        write_batch(self.store, batches, self.known)
        self.remember_version()

    @property
    def checkpoint(self) -> Path:
        """Of the query that makes profiles."""
        return super().checkpoint / "profiles"

    def signs(self, work: str) -> dict[str, Sign]:
        """A refresh reads, computes and notes elsewhere."""
        signs = self.signs_in(USER_PROFILES.name)
        if work == "stream":
            return signs | {"computing": Sign(self.checkpoint / "state", ".")}
        notes = self.folder / "tables" / "profile_refresh_state" / "_delta_log"
        return signs | {
            "reading": Sign(self.folder / "signs", "reading"),
            "computing": Sign(self.folder / "signs", "computing"),
            "checkpointing": Sign(notes, BEFORE_COMMIT),
        }

    def trigger_work(self, kill: Kill) -> None:
        """Events late, new, again, corrected and deleted, or what is declared of users alone."""
        if kill.work == "stream":
            batches = [next(shop) for shop in self.shops]
            self.write([batch._replace(items={}, users={}) for batch in batches])
            rest = [batch._replace(events={}) for batch in batches]
        else:
            ages = {"age_band": "45-54"}
            rest = [Batch({}, {}, {user: row | ages for user, row in self.known["users"].items()})]
        if kill.during_refresh:  # it reads while the stream computes
            self.request_file.touch()
        self.write(rest)
        if kill.work == "refresh":
            self.request_file.touch()

    def write_events(self) -> None:
        """Events alone."""
        self.write([next(shop)._replace(items={}, users={}) for shop in self.shops])

    def finish(self) -> None:
        """A refresh for what was told of items and users, after one that is still under way."""
        self.wait_until(self.is_idle)
        self.request_file.touch()

    def is_idle(self) -> bool:
        """Whether the refreshes, too, are done."""
        return self.is_through() and not self.request_file.exists()

    def count_faults(self) -> Counter[str]:
        """Beside what a refresh into an empty table says: every cell but `events_version`."""
        self.n_compared += 1
        wanted = self.rebuilt(self.folder / f"rebuilt{self.n_compared}")
        read = [r.asDict(recursive=True) for r in self.store.read(USER_PROFILES).collect()]
        rows = Counter(row["user_id"] for row in read)
        found = {row.pop("user_id"): row for row in read}
        kinds = Counter(lost=len(wanted.keys() - found.keys()))
        kinds["duplicated"] += sum(n > 1 for n in rows.values())
        for user, row in found.items():
            kinds[_fault_of(row, wanted.get(user))] += 1
        return +Counter({kind: n for kind, n in kinds.items() if kind != "right"})

    def rebuilt(self, folder: Path) -> dict[str, dict[str, Any]]:
        """All profiles anew, of the same events, items and users."""
        folder.mkdir()
        for table in (EVENTS, ITEMS, USERS):
            (folder / table.name).symlink_to(self.store.path(table))
        other = Store(self.store.spark, str(folder))
        ProfileRefresher(other, self.settings, load_served_model(self.settings)).rebuild()
        return profiles(other)


def _fault_of(row: dict[str, Any], wanted: dict[str, Any] | None) -> str:
    if wanted is None:
        return "not deleted"
    found, all_of_it = sum(row["active_hours"]), sum(wanted["active_hours"])
    if found != all_of_it:
        return "lost" if found < all_of_it else "duplicated"
    return "right" if all(agree(row[k], wanted[k]) for k in wanted if k in row) else "wrong"
