"""Hold links as arrays, and group the ids that they join."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from profile_lib.arrays.groups import sort_ranks
from profile_lib.arrays.types import Flags, Longs, Strings
from profile_lib.tables.people import LOGIN, PROBABLE, RULE, SOURCE, USER, VALUE

ALWAYS, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
# Kinds of links that count, and those left if a group has too many ids with them.
LEVELS = ((SOURCE, RULE, PROBABLE), (SOURCE, RULE), (SOURCE,))


@dataclass(frozen=True)
class LinkArrays:
    """Arrays with one element per link, or per id; times are microseconds since 1970."""

    ids: Strings  # in order of bytes
    id_kind: Strings  # of each id
    a: Longs  # index into ids: user_id
    b: Longs  # index into ids: other_id
    kind: Strings
    first: Longs
    last: Longs
    known: Longs

    @cached_property
    def is_user(self) -> Flags:
        """Return whether each id is a login."""
        return self.id_kind == USER

    @cached_property
    def is_value(self) -> Flags:
        """Return whether each id is a value."""
        return self.id_kind == VALUE

    @cached_property
    def is_carrier(self) -> Flags:
        """Return whether each id is one that a login explains."""
        return ~(self.is_user | self.is_value)

    @cached_property
    def is_firm(self) -> Flags:
        """Return whether each link joins its ids whatever else they were seen with."""
        is_equal = (self.kind != LOGIN) & self.is_user[self.a] & self.is_value[self.b]
        return (self.kind == SOURCE) | is_equal


def to_link_arrays(links: pa.RecordBatch) -> LinkArrays:
    """Convert rows of `identity_links`, with times as longs, to arrays."""
    both = pa.chunked_array([links["user_id"], links["other_id"]]).combine_chunks()
    encoded = both.dictionary_encode()
    rank = sort_ranks(encoded.dictionary)
    index = rank[encoded.indices.to_numpy()]
    ids = encoded.dictionary.take(pa.array(np.argsort(rank)))
    kinds = pa.chunked_array([links["user_kind"], links["other_kind"]]).combine_chunks()
    id_kind = np.empty(len(ids), dtype=object)
    id_kind[index] = kinds.to_numpy(zero_copy_only=False)
    n_links = links.num_rows
    return LinkArrays(
        ids=ids.to_numpy(zero_copy_only=False),
        id_kind=id_kind,
        a=index[:n_links],
        b=index[n_links:],
        kind=links["kind"].to_numpy(zero_copy_only=False),
        **{
            name: pc.cast(links[f"{name}_us"], pa.int64()).to_numpy(zero_copy_only=False)
            for name in ("first", "last", "known")
        },
    )


def find_groups(links: LinkArrays, max_ids: int) -> tuple[Longs, Flags]:
    """Return the group of each id, and which ids are left out.

    A group is named by the first of its ids. Firm links join ids. If a group would have more than
    `max_ids` ids, its probable links are left out; if a part still has more, its rule links; a part
    that has more by the source's links alone is left out. Values do not count as ids. Ids of such a
    group that end alone are left out.
    """
    group = np.arange(len(links.ids))
    is_open = np.ones(len(group), dtype=bool)
    was_large = ~is_open
    for level, kinds in enumerate(LEVELS):
        used = links.is_firm & np.isin(links.kind, kinds) & is_open[links.a] & is_open[links.b]
        joined = join_ids(len(group), links.a[used], links.b[used])
        n_ids = np.bincount(joined, weights=~links.is_value, minlength=len(group))
        is_done = is_open & (n_ids[joined] <= max_ids)
        group[is_done] = joined[is_done]
        is_open &= ~is_done
        if level == 0:
            was_large = is_open.copy()
        if not is_open.any():
            break
    is_alone = np.bincount(group, minlength=len(group))[group] == 1
    return group, was_large & is_alone & ~links.is_value


def join_ids(n_ids: int, a: Longs, b: Longs) -> Longs:
    """Return the connected component of each of `n_ids` numbers, named by its first one."""
    graph = sparse.coo_matrix((np.ones(len(a), dtype=bool), (a, b)), shape=(n_ids, n_ids))
    _, label = connected_components(graph, directed=False)
    return np.unique(label, return_index=True)[1][label]


def find_known_times(known: Longs, a: Longs, b: Longs, time: Longs) -> Longs:
    """Return the time from which each id was connected to one with a known time.

    `known` has a time per id, or NEVER, and a link between `a` and `b` is known from `time` on. A
    path is known when its last link is, and the path known first counts. Given times stay.
    """
    is_free = known == NEVER
    ends, others = np.concatenate([a, b]), np.concatenate([b, a])
    times = np.concatenate([time, time])
    matters = is_free[others]
    ends, others, times = ends[matters], others[matters], times[matters]
    while True:
        previous, known = known, known.copy()
        np.minimum.at(known, others, np.maximum(previous[ends], times))
        if np.array_equal(previous, known):
            return known
