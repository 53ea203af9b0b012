"""How far each bucket of a table has been refreshed in, what is to be done for it out."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from profile_lib.fingerprint import hash_json
from profile_lib.profiles.build import PROFILE_VERSION


class SourceVersions(NamedTuple):
    """Delta versions of the tables that profiles are computed from."""

    events: int
    items: int
    users: int


class RefreshState(NamedTuple):
    """What the rows of a bucket were computed from: by which definition, and from which versions of
    tables."""

    definition: str
    versions: tuple[int, ...]


def hash_definition(model_version: str, rules: Mapping[str, Any]) -> str:
    """A hash of all that says what a profile is: this code, the model and the settings.

    >>> hash_definition("m-1", {"half_life": 14}) == hash_definition("m-1", {"half_life": 7})
    False
    """
    return hash_json([PROFILE_VERSION, model_version, rules], 16)


def find_buckets_to_rebuild(
    refresh_states: Mapping[int, RefreshState], definition: str, n_buckets: int
) -> list[int]:
    """Buckets whose rows are all to be computed: never refreshed, or by another definition.

    >>> old = RefreshState("old", SourceVersions(1, 1, 1))
    >>> find_buckets_to_rebuild({0: old, 1: old._replace(definition="new")}, "new", 3)
    [0, 2]
    """
    return [
        bucket
        for bucket in range(n_buckets)
        if bucket not in refresh_states or refresh_states[bucket].definition != definition
    ]


def merge_refresh_states(
    seen: Mapping[int, RefreshState],
    found: Mapping[int, RefreshState],
    here: Mapping[int, RefreshState],
    n_buckets: int,
) -> dict[int, RefreshState]:
    """What is to be noted of all buckets, now that some are `here`: never more than is true.

    What is `found` is not what was `seen` where another refresh has noted the bucket meanwhile:
    rows of either may lie in it, so that the lower versions hold, and none of two definitions.

    >>> one, two, three = (RefreshState("d", SourceVersions(n, n, 1)) for n in (1, 2, 3))
    >>> merge_refresh_states({0: one, 1: one}, {0: one, 1: two}, {0: three, 1: three}, 2) == {0: three, 1: two}
    True
    >>> merge_refresh_states({}, {0: one._replace(definition="e"), 7: one}, {0: three}, 2)
    {}
    """
    now = {bucket: at for bucket, at in found.items() if bucket < n_buckets}
    for bucket, own in here.items():
        other = found.get(bucket)
        if other == seen.get(bucket):
            now[bucket] = own
        elif other is not None and other.definition == own.definition:
            now[bucket] = own._replace(versions=tuple(map(min, own.versions, other.versions)))
        else:
            now.pop(bucket, None)
    return now


def group_outdated_buckets(
    refresh_states: Mapping[int, RefreshState], buckets: Iterable[int], now: tuple[int, ...]
) -> dict[tuple[int, ...], list[int]]:
    """Of these buckets those that stand at other versions than `now`, by the versions.

    >>> old, new = (RefreshState("d", SourceVersions(n, 1, 1)) for n in (1, 2))
    >>> group_outdated_buckets({0: old, 1: new, 2: old}, [0, 1, 2], new.versions)
    {SourceVersions(events=1, items=1, users=1): [0, 2]}
    """
    behind: dict[tuple[int, ...], list[int]] = {}
    for bucket in buckets:
        if (at := refresh_states[bucket].versions) != now:
            behind.setdefault(at, []).append(bucket)
    return behind
