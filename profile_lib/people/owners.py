"""Find the groups of ids to which devices and anonymous ids belong."""

from typing import NamedTuple

import numpy as np

from profile_lib.arrays.types import Flags, Longs
from profile_lib.people.graph import LinkArrays

NOBODY = -1


class Owners(NamedTuple):
    """The owners of groups, and the links by which they are known."""

    has_user: Flags  # of each id: its group has a login
    owner: Longs  # of each id: the group that its group belongs to
    is_shared: Flags  # of each id: its group belongs to several groups
    contacts: "Ends"
    meetings: "Ends"  # those by which an owner was found


class Ends(NamedTuple):
    """Links as seen from one end."""

    link: Longs  # number of the link
    id: Longs
    other: Longs

    def select(self, chosen: Flags) -> "Ends":
        """Return the chosen links."""
        return Ends(self.link[chosen], self.id[chosen], self.other[chosen])


def find_owners(links: LinkArrays, group: Longs) -> Owners:
    """Find the owner of each group without a login.

    It is the group whose logins were seen with it; with several, it is shared. A group that was
    seen with no login takes the owner of the ids that it was seen with, if they have the same one.
    """
    n = len(group)
    has_user = (np.bincount(group, weights=links.is_user, minlength=n) > 0)[group]
    ends = _select_ends(links, has_user)
    is_contact = ~links.is_carrier[ends.other]
    contacts = ends.select(is_contact & has_user[ends.other])
    owner, n_owners = _count_owners(n, group[contacts.id], group[contacts.other])
    owner = np.where(n_owners == 1, owner, NOBODY)
    meetings = ends.select(links.is_carrier[ends.other] & (n_owners[group[ends.id]] == 0))
    other_group = group[meetings.other]
    other_owner = np.where(has_user[meetings.other], other_group, owner[other_group])
    is_known = other_owner != NOBODY
    meetings, other_owner = meetings.select(is_known), other_owner[is_known]
    met, n_met = _count_owners(n, group[meetings.id], other_owner)
    owner = np.where(n_met == 1, met, owner)
    own = np.where(has_user | (owner[group] == NOBODY), group, owner[group])
    meetings = meetings.select(n_met[group[meetings.id]] == 1)
    return Owners(has_user, own, n_owners[group] > 1, contacts, meetings)


def _select_ends(links: LinkArrays, has_user: Flags) -> Ends:
    """Return links that are not firm, from ids in groups without a login."""
    number = np.flatnonzero(~links.is_firm)
    a, b = links.a[number], links.b[number]
    ends = Ends(np.tile(number, 2), np.concatenate([a, b]), np.concatenate([b, a]))
    return ends.select(links.is_carrier[ends.id] & ~has_user[ends.id])


def _count_owners(n: int, group: Longs, owner: Longs) -> tuple[Longs, Longs]:
    """Return an owner of each of `n` groups, and the number of its different owners."""
    pairs = np.unique(np.stack([group, owner]), axis=1)
    first = np.full(n, NOBODY)
    first[pairs[0]] = pairs[1]
    return first, np.bincount(pairs[0], minlength=n)
