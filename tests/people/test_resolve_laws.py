"""The people of links depend neither on their order nor on the other people of a task."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.people.evidence import PeopleLimits
from profile_lib.people.graph import join_ids
from profile_lib.people.resolve import resolve_links
from profile_lib.tables.people import LOGIN, PROBABLE, RULE, SOURCE
from tests.people.link_rows import kind_of

LIMITS = PeopleLimits(max_ids=4, max_users_per_device=9, shared_window_seconds=2, rules=())
NAMES = [f"{kind}{n}" for kind in "udav" for n in range(4)]
TIME = st.integers(0, 30)
LINK = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from([LOGIN, SOURCE]), TIME, TIME
)


def to_link(user: str, other: str, kind: str, first: int, known: int) -> tuple | None:
    """Return a link as ingestion writes it; None if it does not write such a one."""
    if user[0] in "dav" and (other[0] == "u" or user[0] == "v"):
        user, other = other, user
    if user == other or user[0] == "v":
        return None
    if other[0] == "v":
        kind = RULE if kind == LOGIN else PROBABLE
    elif user[0] == other[0]:
        kind = SOURCE
    return (user, kind_of(user), other, kind_of(other), kind, first, first + 1, known)


def resolve(links: list[tuple]) -> list[tuple]:
    names = ("user_id", "user_kind", "other_id", "other_kind", "kind", "first", "last", "known")
    columns = dict(zip(names, zip(*links, strict=True), strict=True))
    for name in ("first", "last", "known"):
        columns[f"{name}_us"] = [1_000_000 * n for n in columns.pop(name)]
    batch = pa.table({n: list(v) for n, v in columns.items()}).combine_chunks().to_batches()[0]
    rows = resolve_links(batch, LIMITS).to_pylist()
    return sorted(tuple(row.values()) for row in rows if row["left_out"] is None)


@given(st.lists(LINK, min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_people_depend_on_the_set_of_their_own_links_alone(drawn, random):
    links = [link for values in drawn if (link := to_link(*values)) is not None]
    if not links:
        return
    together = resolve(links)
    random.shuffle(links)
    assert resolve(links) == together
    part = join_ids(
        len(NAMES), [NAMES.index(link[0]) for link in links], [NAMES.index(x[2]) for x in links]
    )
    apart: list[tuple] = []
    for name in set(part):
        own = [link for link in links if part[NAMES.index(link[0])] == name]
        apart += resolve(own) if own else []
    assert sorted(apart) == together
    ids = [(row[0], row[1]) for row in together]
    assert len(ids) == len(set(ids))
    fixed = {row[0] for row in together if row[2] is None}
    assert not fixed & {row[0] for row in together if row[2] is not None}
    people = {row[4] for row in together if row[2] is None}
    assert not people & fixed  # a person is named by an id that belongs to nobody else
    for person in people:
        assert sum(row[4] == person for row in together if row[2] is None) < LIMITS.max_ids
