"""Compare the project's stream and refreshes under kills with a rebuild."""

from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.chaos.process import PARTS, Sign
from benchmarks.chaos.trial import BEFORE_COMMIT, COMMITTED, PHASES, Kill, Trial
from profile_lib.delta.store import Store
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.pipelines.stream_profiles import CHECKPOINT
from profile_lib.tables import EVENTS, ITEMS, USER_HISTORIES, USER_PROFILES, USERS
from tests.agreement import agree
from tests.shops import Batch, generate_batches, write_batch
from tests.small_shop import read_profiles, save_plain_model

SHOPS = 12  # of four users each
AGE_BANDS = ("45-54", "55-64")  # each refresh finds the next one, since equal facts change nothing


class ProfilesTrial(Trial):
    """The project's own stream, with refreshes."""

    name, module = "profiles", "benchmarks.chaos.profiles_victim"
    parts, works, phases = PARTS, ("stream", "refresh"), PHASES

    def prepare(self) -> None:
        """Write some shops of a few users each."""
        self.request_file = self.folder / "refresh_request"
        save_plain_model(self.folder / "models" / self.settings.training.name)
        self.shops = [generate_batches(number, seed=number) for number in range(SHOPS)]
        self.known: dict[str, dict[str, dict[str, Any]]] = {}
        self.write([next(shop) for shop in self.shops])
        self.age_bands = cycle(AGE_BANDS)
        self.n_compared = 0

    def write(self, batches: list[Batch]) -> None:
        """Write to the tables from outside the stream."""
        write_batch(self.store, batches, self.known)
        self.remember_version()

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the query that makes profiles."""
        return super().checkpoint / CHECKPOINT

    def signs(self, work: str) -> dict[str, Sign]:
        """The signs of a kind of work; a refresh reads, computes and checkpoints elsewhere."""
        signs = self.signs_in(USER_PROFILES.name)
        if work == "stream":
            histories_log = self.folder / "tables" / USER_HISTORIES.name / "_delta_log"
            return signs | {"computing": Sign(histories_log, COMMITTED)}
        refresh_log = self.folder / "tables" / "profile_refresh_state" / "_delta_log"
        return signs | {
            "reading": Sign(self.folder / "signs", "reading"),
            "computing": Sign(self.folder / "signs", "computing"),
            "checkpointing": Sign(refresh_log, BEFORE_COMMIT),
        }

    def trigger_work(self, kill: Kill) -> None:
        """Write new, late, repeated, corrected and deleted events, or change users alone."""
        if kill.work == "stream":
            batches = [next(shop) for shop in self.shops]
            self.write([batch._replace(items={}, users={}) for batch in batches])
            rest = [batch._replace(events={}) for batch in batches]
        else:
            ages = {"age_band": next(self.age_bands)}
            rest = [Batch({}, {}, {user: row | ages for user, row in self.known["users"].items()})]
        if kill.during_refresh:  # the refresh reads while the stream computes
            self.request_file.touch()
        self.write(rest)
        if kill.work == "refresh":
            self.request_file.touch()

    def write_events(self) -> None:
        """Write events alone."""
        self.write([next(shop)._replace(items={}, users={}) for shop in self.shops])

    def finish(self) -> None:
        """Request a refresh for changed items and users once no other one runs."""
        self.wait_until(self.is_idle)
        self.request_file.touch()

    def is_idle(self) -> bool:
        """Whether the stream and the refreshes are done."""
        return self.is_through() and not self.request_file.exists()

    def count_faults(self) -> Counter[str]:
        """Compare every cell except `events_version` with a refresh into an empty table."""
        self.n_compared += 1
        expected = self.rebuild(self.folder / f"rebuilt{self.n_compared}")
        rows = [r.asDict(recursive=True) for r in self.store.read(USER_PROFILES).collect()]
        n_rows = Counter(row["user_id"] for row in rows)
        stored = {row.pop("user_id"): row for row in rows}
        kinds = Counter(lost=len(expected.keys() - stored.keys()))
        kinds["duplicated"] += sum(n > 1 for n in n_rows.values())
        for user, row in stored.items():
            kinds[_find_fault(row, expected.get(user))] += 1
        return +Counter({kind: n for kind, n in kinds.items() if kind != "right"})

    def rebuild(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Compute all profiles again, from the same events, items and users."""
        folder.mkdir()
        for table in (EVENTS, ITEMS, USERS):
            (folder / table.name).symlink_to(self.store.path(table))
        other = Store(self.store.spark, str(folder))
        ProfileRefresher(other, self.settings, load_served_model(self.settings)).rebuild()
        return read_profiles(other)


def _find_fault(row: dict[str, Any], expected: dict[str, Any] | None) -> str:
    if expected is None:
        return "not_deleted"
    n_events, n_expected = sum(row["active_hours"]), sum(expected["active_hours"])
    if n_events != n_expected:
        return "lost" if n_events < n_expected else "duplicated"
    return "right" if all(agree(row[k], expected[k]) for k in expected if k in row) else "wrong"
