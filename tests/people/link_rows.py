"""Make rows of identity_links for tests."""

from datetime import UTC, datetime, timedelta

from profile_lib.tables import IDENTITY_LINKS
from profile_lib.tables.people import ANONYMOUS, DEVICE, LOGIN, RUN_MINUTES, USER, VALUE

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = {"u": USER, "d": DEVICE, "a": ANONYMOUS, "v": VALUE}


def at(hours: float) -> datetime:
    """Return the moment some hours after START."""
    return START + timedelta(hours=hours)


def link(
    pair: str,
    hours: float | None,
    *,
    kind: str = LOGIN,
    known: float | None = None,
    undone: float | None = None,
    source: str = "shop",
) -> tuple:
    """Return evidence of some hour of a pair such as "u1 d1", whose letters are kinds of ids.

    A prefix such as "kiosk:" belongs to the id.
    """
    user, other = pair.split()
    time = None if hours is None else at(hours)
    run = at(hours if hours is not None else undone or 0)
    run -= timedelta(
        minutes=run.minute % RUN_MINUTES, seconds=run.second, microseconds=run.microsecond
    )
    known_ts = time if known is None else at(known)
    row = {
        "user_id": user,
        "user_kind": kind_of(user),
        "other_id": other,
        "other_kind": kind_of(other),
        "kind": kind,
        "source": source,
        "run_ts": run,
        "first_ts": time,
        "last_ts": time,
        "known_ts": known_ts,
        "undone_ts": None if undone is None else at(undone),
    }
    return tuple(row[name] for name in IDENTITY_LINKS.column_names())


def kind_of(name: str) -> str:
    """Return the kind of an id by its letter."""
    return KINDS[name.rpartition(":")[2][0]]
