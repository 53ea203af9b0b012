"""Find the outdated buckets of a table, and merge refresh states."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pyspark.sql import DataFrame

from profile_lib.fingerprint import hash_json
from profile_lib.tables.table import user_bucket


class SourceVersions(NamedTuple):
    """The Delta versions of the tables that profiles are computed from."""

    events: int
    items: int
    users: int
    people: int


class RefreshState(NamedTuple):
    """The inputs that the rows of a bucket were computed from.

    `definition` is the hash of code, model and settings, and `versions` holds the Delta versions of
    the source tables.
    """

    definition: str
    versions: tuple[int, ...]


def hash_definition(code_version: int, model_version: str, rules: Mapping[str, Any]) -> str:
    """Hash everything that defines a profile or list: the code's version, model and settings.

    >>> hash_definition(1, "m-1", {"half_life": 14}) == hash_definition(1, "m-1", {"half_life": 7})
    False
    """
    return hash_json([code_version, model_version, rules], 16)


def select_users_in_buckets(frame: DataFrame, buckets: Sequence[int], n_buckets: int) -> DataFrame:
    """Select the distinct user_id of a frame that belong to these buckets."""
    return frame.select("user_id").where(user_bucket(n_buckets).isin(*buckets)).distinct()


def find_buckets_to_rebuild(
    refresh_states: Mapping[int, RefreshState], definition: str, n_buckets: int
) -> list[int]:
    """Return the buckets that were never refreshed or have another definition.

    >>> old = RefreshState("old", (1, 1, 1))
    >>> find_buckets_to_rebuild({0: old, 1: old._replace(definition="new")}, "new", 3)
    [0, 2]
    """
    return [
        bucket
        for bucket in range(n_buckets)
        if bucket not in refresh_states or refresh_states[bucket].definition != definition
    ]


def group_outdated_buckets(
    refresh_states: Mapping[int, RefreshState],
    buckets: Iterable[int],
    current_versions: tuple[int, ...],
) -> dict[tuple[int, ...], list[int]]:
    """Group by their versions the buckets whose versions are not the current ones.

    >>> old, new = RefreshState("d", (1, 1, 1)), RefreshState("d", (2, 1, 1))
    >>> group_outdated_buckets({0: old, 1: new, 2: old}, [0, 1, 2], (2, 1, 1))
    {(1, 1, 1): [0, 2]}
    """
    outdated: dict[tuple[int, ...], list[int]] = {}
    for bucket in buckets:
        if (versions := refresh_states[bucket].versions) != current_versions:
            outdated.setdefault(versions, []).append(bucket)
    return outdated


def merge_refresh_states(
    before: Mapping[int, RefreshState],
    stored: Mapping[int, RefreshState],
    written: Mapping[int, RefreshState],
    n_buckets: int,
) -> dict[int, RefreshState]:
    """Merge the states of newly written buckets into the stored ones.

    `before` holds the states that the refresh started from. If a bucket's `stored` state differs
    from that, another refresh has run at the same time, and the bucket may hold rows of both. Its
    state is then the lower one of each version, or is dropped if the definitions differ, so that it
    never claims more than is true. Buckets from `n_buckets` on are dropped.

    >>> one, two, three = (RefreshState("d", (n, n, 1)) for n in (1, 2, 3))
    >>> merged = merge_refresh_states({0: one, 1: one}, {0: one, 1: two}, {0: three, 1: three}, 2)
    >>> merged == {0: three, 1: two}
    True
    >>> merge_refresh_states({}, {0: one._replace(definition="e"), 7: one}, {0: three}, 2)
    {}
    """
    merged = {bucket: state for bucket, state in stored.items() if bucket < n_buckets}
    for bucket, new_state in written.items():
        stored_state = stored.get(bucket)
        if stored_state == before.get(bucket):
            merged[bucket] = new_state
        elif stored_state is not None and stored_state.definition == new_state.definition:
            lower = tuple(map(min, new_state.versions, stored_state.versions))
            merged[bucket] = new_state._replace(versions=lower)
        else:
            merged.pop(bucket, None)
    return merged
